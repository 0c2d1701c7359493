import { Command, Option } from 'commander';
import type { Log } from '../../control/actor.ts';
import type { HostedActor, HostOptions } from '../hosted-actor.ts';
import { seconds } from '../seconds.ts';
import { untilToldToStop } from '../until-told.ts';
import { UsageError } from '../usage-error.ts';

interface ActorOptions {
  readonly folder: string;
  readonly fixtures?: string;
  readonly logLevel: string;
  readonly peerWait: number;
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
        .argParser(seconds)
        .default(60_000, '60')
        .env('MCPTT_TESTBED_PEER_WAIT'),
    )
    .action(async (name: string, options: ActorOptions) => {
      const { jsonLog } = await import('../log.ts');
      const { askEveryNameServer } = await import('../name-service.ts');
      askEveryNameServer();
      const { folder, fixtures, peerWait } = options;
      await untilTheEnd(jsonLog(name, options.logLevel), {
        folder,
        name,
        peerWait,
        ...(fixtures === undefined ? {} : { fixtures }),
      });
    });
}

/** Resolves when `up`, which started this process, is gone and can tell it nothing any more; never when somebody else started it. */
function untilOrphaned(): Promise<'disconnect'> {
  return new Promise((resolve) => {
    process.once('disconnect', () => resolve('disconnect'));
    process.channel?.unref();
  });
}

/** The actor's life, from its start to the signal that ends it or the error that does; whichever it is stands in the log. */
async function untilTheEnd(log: Log, options: Omit<HostOptions, 'log' | 'signal'>): Promise<void> {
  process.once('uncaughtException', (cause) => {
    log.error({ reason: cause.message, stack: cause.stack }, 'crashed');
    process.exit(3);
  });
  // From the first moment on: a container's first process that does not ask for signals gets none.
  const over = new AbortController();
  const stop = new AbortController();
  const told = Promise.race([untilToldToStop(over.signal), untilOrphaned()]).then((signal) => {
    stop.abort();
    return signal;
  });
  let hosted: HostedActor | undefined;
  try {
    const { hostActor } = await import('../hosted-actor.ts');
    hosted = await hostActor({ ...options, log, signal: stop.signal });
    await Promise.race([told, hosted.ready.then(() => told)]);
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    if (!stop.signal.aborted) {
      log.error({ reason: (cause as Error).message }, hosted === undefined ? 'could not start' : 'not ready');
      process.exitCode = 3;
    }
  } finally {
    over.abort();
  }
  const slow = setTimeout(() => {
    log.error({}, `could not close everything within ${STOP_MS} ms`);
    process.exit(3);
  }, STOP_MS);
  await hosted?.stop();
  clearTimeout(slow);
  if (stop.signal.aborted) log.info({ signal: await told }, 'stopped');
}
