import { Command, Option } from 'commander';

interface ActorOptions {
  readonly folder: string;
  readonly fixtures?: string;
  readonly logLevel: string;
  readonly peerWait: string;
}

/** Longest that closing down may take; container engines kill after ten seconds. */
const STOP_MS = 8000;

export function actorCommand(): Command {
  return new Command('actor')
    .description('Runs one actor of a topology folder alone, until SIGTERM or SIGINT; logs are JSON lines.')
    .argument('<name>', 'its name in the topology')
    .addOption(
      new Option('--folder <folder>', 'the topology folder (see init)').default('testbed').env('MCPTT_TESTBED_FOLDER'),
    )
    .addOption(
      new Option('--fixtures <folder>', 'subscribers, users and policy from this folder').env('MCPTT_TESTBED_FIXTURES'),
    )
    .addOption(
      new Option('--log-level <level>', 'how much is logged')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info')
        .env('MCPTT_TESTBED_LOG_LEVEL'),
    )
    .addOption(
      new Option('--peer-wait <seconds>', 'how long the other actors are waited for')
        .default('60')
        .env('MCPTT_TESTBED_PEER_WAIT'),
    )
    .action(async (name: string, options: ActorOptions) => {
      const { hostActor } = await import('../hosted-actor.ts');
      const { untilToldToStop } = await import('../until-told.ts');
      const { jsonLog } = await import('../log.ts');
      const { askEveryNameServer } = await import('../name-service.ts');
      askEveryNameServer();
      const log = jsonLog(name, options.logLevel);
      const { folder, fixtures } = options;
      const hosted = await hostActor({
        folder,
        name,
        log,
        peerWait: Number(options.peerWait) * 1000,
        ...(fixtures === undefined ? {} : { fixtures }),
      });
      const failed = hosted.ready.then(
        () => new Promise<never>(() => {}),
        (cause: Error) => cause,
      );
      const over = new AbortController();
      const ended = await Promise.race([untilToldToStop(over.signal), failed]);
      over.abort();
      const slow = setTimeout(() => {
        log.error({}, `could not close everything within ${STOP_MS} ms`);
        process.exit(3);
      }, STOP_MS);
      await hosted.stop();
      clearTimeout(slow);
      if (ended instanceof Error) {
        log.error({ reason: ended.message }, 'not ready');
        process.exitCode = 3;
      } else log.info({ signal: ended }, 'stopped');
    });
}
