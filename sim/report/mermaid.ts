/** The messages of a run as a Mermaid sequence diagram. */
import type { ScenarioResult } from '../scenario/scenario.ts';
import { lifelines, shortName } from './names.ts';

/** Mermaid ends a text at `;` and reads `#` as the start of an entity. */
const text = (raw: string): string => raw.replace(/[\r\n]+/g, ' ').replace(/[#;<>]/g, (c) => `#${c.charCodeAt(0)};`);

const id = (actor: string): string => actor.replace(/\W/g, '_');

export function mermaidReport(results: readonly ScenarioResult[]): string {
  return results
    .map((result) => {
      const lanes = lifelines(result.arrows);
      const lines = [
        'sequenceDiagram',
        `  title ${text(result.title)}`,
        ...lanes.map((lane) => `  participant ${id(lane)} as ${shortName(lane)}`),
      ];
      for (const step of result.steps) {
        const span = lanes.length > 1 ? `${id(lanes[0]!)},${id(lanes.at(-1)!)}` : id(lanes[0] ?? 'ue');
        lines.push(`  Note over ${span}: step ${step.number} · ${text(step.title)} · ${step.verdict}`);
        for (const arrow of result.arrows.filter((a) => a.step === step.number)) {
          lines.push(`  ${id(arrow.from)}->>${id(arrow.to)}: ${text(`${arrow.interface} ${arrow.summary}`)}`);
        }
      }
      return `${lines.join('\n')}\n`;
    })
    .join('\n');
}
