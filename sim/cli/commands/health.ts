import { Command, Option } from 'commander';

export function healthCommand(): Command {
  return new Command('health')
    .description('Asks an actor that runs elsewhere whether it is ready. Exit code: 0 ready, 3 not.')
    .argument('<actor>', 'name in the topology folder')
    .addOption(new Option('--folder <folder>', 'the topology folder').default('testbed').env('MCPTT_TESTBED_FOLDER'))
    .option('--here', 'it runs on this machine (a health check from inside its container)')
    .action(async (name: string, options: { folder: string; here?: true }) => {
      const { askHealth } = await import('../health.ts');
      (await import('../name-service.ts')).askEveryNameServer();
      const { ok, text } = await askHealth(options.folder, name, options.here === true);
      process.stdout.write(`${text}\n`);
      process.exitCode = ok ? 0 : 3;
    });
}
