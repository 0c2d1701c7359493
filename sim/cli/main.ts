#!/usr/bin/env node
/** The command line. Each command is a file in `commands/`, and loads what it needs only when it runs. */
import { Command, CommanderError } from 'commander';
import { actorCommand } from './commands/actor.ts';
import { cekCommand } from './commands/cek.ts';
import { healthCommand } from './commands/health.ts';
import { initCommand } from './commands/init.ts';
import { listCommand } from './commands/list.ts';
import { runCommand } from './commands/run.ts';
import { upCommand } from './commands/up.ts';
import { UsageError } from './usage-error.ts';

/** How long what was closed may take to go away. */
const LINGER_MS = 5000;

/** Errors whose message is meant for the person at the terminal carry a stable `code`; anything else is a bug and keeps its stack. */
const isForPeople = (cause: unknown): cause is Error =>
  cause instanceof Error && typeof (cause as { code?: unknown }).code === 'string';

/**
 * A reader that has seen enough (`| head -1`) ends neither a run nor an actor: reports and the exit code are still to come. What
 * cannot be written for another reason is an error.
 */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EPIPE') return;
      if (stream === process.stdout)
        process.stderr.write(`mcptt-testbed: standard output cannot be written: ${cause.message}\n`);
      process.exit(3);
    });
  }
}

/** Settings that are handed on empty (`docker-compose.yml`, an `.env` file) are settings that nobody made. */
function forgetEmptySettings(): void {
  for (const [name, value] of Object.entries(process.env))
    if (name.startsWith('MCPTT_TESTBED_') && value === '') delete process.env[name];
}

/** Wrong usage of a command, or of one within it, comes to {@link report} instead of ending the process. */
function answerHere(command: Command): void {
  command
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpCommand(false);
  command.commands.forEach(answerHere);
}

async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('mcptt-testbed').description(
    'Runs the KMS-managed CEK figure of the pCR with real protocol stacks and gives a verdict for every step.',
  );
  for (const command of [runCommand, listCommand, upCommand, actorCommand, initCommand, cekCommand, healthCommand])
    program.addCommand(command());
  answerHere(program);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (cause) {
    return report(cause);
  }
}

function report(cause: unknown): number {
  if (cause instanceof CommanderError) {
    if (cause.exitCode === 0) return 0;
    const text =
      cause.code === 'commander.help' ? 'name a command' : cause.message.replace(/^error: /, '').replaceAll('\n', ' ');
    process.stderr.write(`mcptt-testbed: ${text}; see --help\n`);
    return 2;
  }
  if (cause instanceof UsageError) {
    process.stderr.write(`mcptt-testbed: ${cause.message}\n`);
    return 2;
  }
  process.stderr.write(
    `mcptt-testbed: ${isForPeople(cause) ? cause.message : ((cause as Error).stack ?? String(cause))}\n`,
  );
  return 3;
}

outliveReaders();
forgetEmptySettings();
process.exitCode = await main(process.argv.slice(2));

// Everything that a command starts it also closes. Should something be left all the same, say what, and end.
setTimeout(() => {
  process.stderr.write(
    `mcptt-testbed: ended, though something was still open: ${process.getActiveResourcesInfo().join(', ')}\n`,
  );
  process.exit();
}, LINGER_MS).unref();
