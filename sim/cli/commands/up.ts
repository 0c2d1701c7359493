import { spawn } from 'node:child_process';
import { Command, Option } from 'commander';
import type { HostedActor } from '../hosted-actor.ts';
import type { Topology } from '../topology.ts';

interface UpOptions {
  readonly folder: string;
  readonly fixtures?: string;
  readonly processes?: true;
}

export function upCommand(): Command {
  return new Command('up')
    .description(
      'Starts every actor of a topology folder, which is made first where it is missing, and keeps them until SIGINT; then `run --folder` and `cek` work on them.',
    )
    .addOption(new Option('--folder <folder>', 'the topology folder').default('testbed').env('MCPTT_TESTBED_FOLDER'))
    .addOption(
      new Option('--fixtures <folder>', 'subscribers, users and policy from this folder').env('MCPTT_TESTBED_FIXTURES'),
    )
    .option('--processes', 'one process each instead of one for all')
    .action(async (options: UpOptions) => {
      const { initFolder } = await import('../init-folder.ts');
      const { loadTopology } = await import('../topology.ts');
      const { loadFixtures } = await import('../../../fixtures/load.ts');
      await initFolder(options.folder, 'loopback', false, loadFixtures(options.fixtures));
      const topology = loadTopology(options.folder);
      await (options.processes === true ? eachInItsProcess(topology, options) : allHere(topology, options));
    });
}

async function allHere(topology: Topology, options: UpOptions): Promise<void> {
  const { untilToldToStop } = await import('../until-told.ts');
  const over = new AbortController();
  const stop = new AbortController();
  const told = untilToldToStop(over.signal).then(() => stop.abort());
  const { hostActor } = await import('../hosted-actor.ts');
  const { jsonLog } = await import('../log.ts');
  const { folder, fixtures } = options;
  const { signal } = stop;
  const more = fixtures === undefined ? {} : { fixtures };
  const hosted: HostedActor[] = [];
  try {
    for (const name of Object.keys(topology.actors)) {
      if (signal.aborted) return;
      hosted.push(await hostActor({ folder, name, log: jsonLog(name, 'warn'), signal, ...more }));
    }
    const allReady = Promise.all(hosted.map((one) => one.ready)).then(() => ready(options, topology));
    await Promise.race([told, allReady.then(() => told)]);
  } finally {
    over.abort();
    await Promise.allSettled(hosted.reverse().map((one) => one.stop()));
  }
}

async function eachInItsProcess(topology: Topology, options: UpOptions): Promise<void> {
  const names = Object.keys(topology.actors);
  const { askHealth } = await import('../health.ts');
  const { untilToldToStop } = await import('../until-told.ts');
  const { setTimeout } = await import('node:timers/promises');
  const { PROBE_EVERY } = await import('../patience.ts');
  const more = options.fixtures === undefined ? [] : ['--fixtures', options.fixtures];
  const children = names.map((name) =>
    spawn(
      process.execPath,
      [
        ...process.execArgv,
        process.argv[1]!,
        'actor',
        name,
        '--folder',
        options.folder,
        '--log-level',
        'warn',
        ...more,
      ],
      // The channel carries nothing; its end tells an actor that this process is gone, however it went.
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    ),
  );
  const gone = Promise.race(
    children.map((child, i) => new Promise<string>((resolve) => child.once('exit', () => resolve(names[i]!)))),
  );
  const allReady = async (signal: AbortSignal): Promise<never> => {
    for (const name of names)
      while (!signal.aborted && !(await askHealth(options.folder, name)).ok) await setTimeout(PROBE_EVERY);
    if (!signal.aborted) ready(options, topology);
    return new Promise<never>(() => {});
  };
  const over = new AbortController();
  const ended = await Promise.race([untilToldToStop(over.signal), gone, allReady(over.signal)]);
  over.abort();
  for (const child of children) child.kill('SIGTERM');
  const running = children.filter((child) => child.exitCode === null && child.signalCode === null);
  await Promise.all(running.map((child) => new Promise((resolve) => child.once('exit', resolve))));
  if (names.includes(ended)) {
    const { signalCode } = children[names.indexOf(ended)]!;
    const why = signalCode === null ? 'ended by itself; its log above says why' : `was ended by ${signalCode}`;
    process.stderr.write(`mcptt-testbed: ${ended} ${why}\n`);
    process.exitCode = 3;
  }
}

/** Where everything is, for peers of another make, and what to do next. */
function ready({ folder }: UpOptions, { actors }: Topology): void {
  const lines = Object.entries(actors)
    .filter(([, { endpoints }]) => Object.keys(endpoints).length > 0)
    .map(([name, { endpoints }]) => {
      const places = Object.entries(endpoints).map(([endpoint, at]) => `${endpoint} ${at}`);
      return `${name.padEnd(15)} ${places.join(', ')}\n`;
    });
  process.stdout.write(`${lines.join('')}${'trust'.padEnd(15)} ${folder}/public/ca.crt\n`);
  const inShell = /^[\w./-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", "'\\''")}'`;
  process.stdout.write(`ready: mcptt-testbed run all --folder ${inShell}\n`);
}
