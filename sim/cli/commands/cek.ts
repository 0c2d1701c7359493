import { Command, InvalidArgumentError, Option } from 'commander';
import type { JsonObject } from '../../control/actor.ts';
import { UsageError } from '../usage-error.ts';

interface CekRow {
  readonly keyId: string;
  readonly user: string;
  readonly clientId: string;
  readonly sipSession: string;
  readonly state: string;
}

interface Which {
  readonly folder: string;
  readonly keyId?: string;
  readonly user?: string;
}

const folderOption = (): Option =>
  new Option('--folder <folder>', 'topology folder of the running testbed (see up)')
    .default('testbed')
    .env('MCPTT_TESTBED_FOLDER');

/** A Key ID as the KMS names it. @throws InvalidArgumentError for what cannot be one */
function keyId(text: string): string {
  if (!/^[\da-f]{8}$/i.test(text)) throw new InvalidArgumentError('Give its 8 hexadecimal digits, as cek list does.');
  return text.toLowerCase();
}

export function cekCommand(): Command {
  const cek = new Command('cek').description('Lists, rotates and revokes CEKs at the KMS of a running testbed.');
  cek
    .command('list')
    .description('Prints the CEKs that the KMS keeps; never a key.')
    .addOption(folderOption())
    .option('--json', 'as JSON')
    .action(async (options: { folder: string; json?: true }) => {
      const rows = (await atKms(options.folder, 'cekList', {})) as unknown as CekRow[];
      if (options.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
      else if (rows.length === 0) process.stdout.write('the KMS keeps no CEK\n');
      for (const row of options.json ? [] : rows)
        process.stdout.write(`${row.keyId}  ${row.state.padEnd(12)}  ${row.user}  ${row.sipSession}\n`);
    });
  for (const [verb, what, outcome] of [
    ['rotate', 'Makes a new CEK and pushes it to both ends.', 'a new CEK takes its place: see cek list'],
    ['revoke', 'Ends CEKs at once, at both ends and at the KMS.', 'has ended'],
  ] as const) {
    cek
      .command(verb)
      .description(what)
      .addOption(folderOption())
      .option('--key-id <hex>', 'the CEK with this Key ID', keyId)
      .option('--user <mcptt id>', 'every CEK of this user')
      .action(async (options: Which) => {
        if ((options.keyId === undefined) === (options.user === undefined))
          throw new UsageError(`cek ${verb}: give either --key-id or --user`);
        const args: JsonObject = options.keyId === undefined ? { user: options.user! } : { keyId: options.keyId };
        const answer = await atKms(options.folder, verb === 'rotate' ? 'cekRotate' : 'cekRevoke', args);
        const done = Object.values(answer).flat() as string[];
        for (const id of done) process.stdout.write(`${id}  ${outcome}\n`);
        if (done.length > 0) return;
        const which = options.keyId === undefined ? `no CEK of ${options.user}` : `no CEK with Key ID ${options.keyId}`;
        process.stderr.write(`mcptt-testbed: the KMS keeps ${which} that is in use: see cek list\n`);
        process.exitCode = 3;
      });
  }
  return cek;
}

async function atKms(folder: string, verb: string, args: JsonObject): Promise<JsonObject> {
  const { loadTls, loadTopology } = await import('../topology.ts');
  const { RemoteControl } = await import('../../control/remote.ts');
  (await import('../name-service.ts')).askEveryNameServer();
  const kms = Object.entries(loadTopology(folder).actors).find(([, actor]) => actor.kind === 'kms');
  if (kms === undefined) throw new UsageError(`${folder} has no KMS`);
  const control = new RemoteControl({
    name: kms[0],
    kind: 'kms',
    url: `https://${kms[1].control}`,
    tls: loadTls(folder, 'runner'),
  });
  try {
    return await control.do<JsonObject>(verb, args);
  } finally {
    await control.close();
  }
}
