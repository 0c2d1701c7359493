import { Command, Option } from 'commander';

interface InitOptions {
  readonly folder: string;
  readonly topology: 'loopback' | 'containers';
  readonly drachtio?: true;
  readonly fixtures?: string;
  readonly stay?: true;
}

export function initCommand(): Command {
  return new Command('init')
    .description(
      'Makes a topology folder once: who is where, the test CA, a certificate and first-start secrets for each actor. Keeps what is there.',
    )
    .addOption(new Option('--folder <folder>', 'the folder').default('testbed').env('MCPTT_TESTBED_FOLDER'))
    .addOption(
      new Option('--topology <kind>', 'addresses of this machine, or of docker-compose.yml')
        .choices(['loopback', 'containers'])
        .default('loopback'),
    )
    .addOption(
      new Option(
        '--drachtio',
        'containers: a drachtio-server for each SIP application instead of the embedded engine',
      ).env('MCPTT_TESTBED_DRACHTIO'),
    )
    .addOption(
      new Option('--fixtures <folder>', 'the fixtures that its actors will have').env('MCPTT_TESTBED_FIXTURES'),
    )
    .option(
      '--stay',
      'then wait for SIGTERM: `compose up --exit-code-from` ends all services when the first one ends, and this must not be it',
    )
    .action(async (options: InitOptions) => {
      const { initFolder } = await import('../init-folder.ts');
      const { loadFixtures } = await import('../../../fixtures/load.ts');
      const { folder, topology, drachtio, fixtures } = options;
      const made = await initFolder(folder, topology, drachtio === true, loadFixtures(fixtures));
      process.stdout.write(
        made.length === 0 ? `${folder}: complete, nothing to make\n` : `${folder}: made ${made.join(', ')}\n`,
      );
      if (options.stay !== true) return;
      const { untilToldToStop } = await import('../until-told.ts');
      await untilToldToStop();
    });
}
