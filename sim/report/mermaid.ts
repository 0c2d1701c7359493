/** The messages of a run as a Mermaid sequence diagram. */
import type { ScenarioResult } from '../scenario/scenario.ts';
import { lifelines, shortName } from './names.ts';

/** Mermaid ends a text at `;` and reads `#` as the start of an entity. */
const text = (raw: string): string => raw.replace(/[\r\n]+/g, ' ').replace(/[#;<>]/g, (c) => `#${c.charCodeAt(0)};`);

const id = (actor: string): string => actor.replace(/\W/g, '_');

/** One diagram, however many scenarios: a second `sequenceDiagram` in a file is no Mermaid. */
export function mermaidReport(results: readonly ScenarioResult[]): string {
  const lanes = lifelines(results.flatMap((result) => result.arrows));
  const span = lanes.length > 1 ? `${id(lanes[0]!)},${id(lanes.at(-1)!)}` : id(lanes[0] ?? 'ue');
  const [first] = results;
  const alone = results.length === 1 && first !== undefined;
  const lines = [
    'sequenceDiagram',
    `  title ${alone ? text(first.title) : `${results.length} scenarios`}`,
    ...lanes.map((lane) => `  participant ${id(lane)} as ${shortName(lane)}`),
  ];
  for (const result of results) {
    if (!alone) lines.push(`  Note over ${span}: ${text(`${result.id} · ${result.title} · ${result.verdict}`)}`);
    for (const step of result.steps) {
      lines.push(`  Note over ${span}: step ${step.number} · ${text(step.title)} · ${step.verdict}`);
      for (const arrow of result.arrows.filter((a) => a.step === step.number))
        lines.push(`  ${id(arrow.from)}->>${id(arrow.to)}: ${text(`${arrow.interface} ${arrow.summary}`)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
