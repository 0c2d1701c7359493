import { Command } from 'commander';

export function listCommand(): Command {
  return new Command('list')
    .description('Names the scenarios and what each proves.')
    .option('--json', 'as JSON on standard output')
    .action(async (options: { json?: true }) => {
      const { scenarios } = await import('../../../scenarios/index.ts');
      if (options.json) {
        const rows = scenarios.map(({ id, title, requirements, actors }) => ({ id, title, requirements, actors }));
        process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
        return;
      }
      const width = Math.max(...scenarios.map((s) => s.id.length));
      for (const s of scenarios)
        process.stdout.write(`${s.id.padEnd(width)}  ${s.title} [${s.requirements.join(', ')}]\n`);
    });
}
