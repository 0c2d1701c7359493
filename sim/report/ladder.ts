/** The ladder as text: lifelines in the figure's order, one line an arrow, interface and message at its right. */
import type { Arrow } from '../trace/trace.ts';
import { lifelines, shortName } from './names.ts';

/** Wide enough for the longest name; six of them leave room for a message on a terminal of 80 columns. */
const LANE = 9;
/** Least that is shown of a message, however many lifelines there are. */
const SHORTEST_TEXT = 12;

export interface Ladder {
  /** The names over the lifelines. */
  readonly head: string;
  /** An empty row of lifelines. */
  readonly rail: string;
  row(arrow: Arrow): string;
}

/**
 * @param arrows all arrows that will be drawn, so that each actor has its lifeline
 * @param columns width to stay within; a longer message text is cut with an ellipsis
 */
export function ladder(arrows: readonly Arrow[], columns = 120): Ladder {
  const lanes = lifelines(arrows);
  const at = (name: string): number => lanes.indexOf(name) * LANE + 4;
  const width = at(lanes.at(-1) ?? '') + 1;
  const rails = (): string[] => {
    const row = Array.from({ length: width }, () => ' ');
    for (const lane of lanes) row[at(lane)] = '│';
    return row;
  };
  const head = lanes.map((lane) => center(shortName(lane), LANE - 1)).join(' ');
  return {
    head: head.trimEnd(),
    rail: rails().join(''),
    row(arrow) {
      const row = rails();
      const [from, to] = [at(arrow.from), at(arrow.to)];
      const [left, right] = from < to ? [from, to] : [to, from];
      for (let i = left + 1; i < right; i++) row[i] = '─';
      row[from] = from < to ? '├' : '┤';
      if (from !== to) row[from < to ? to - 1 : to + 1] = from < to ? '▶' : '◀';
      const text = `${arrow.interface.padEnd(6)} ${arrow.summary}`;
      return `${row.join('')}  ${cut(text, Math.max(SHORTEST_TEXT, columns - width - 2))}`;
    },
  };
}

const center = (text: string, width: number): string => {
  const left = Math.max(0, Math.floor((width - text.length) / 2));
  return `${' '.repeat(left)}${text}`.padEnd(width).slice(0, width);
};

const cut = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, width - 1)}…`);
