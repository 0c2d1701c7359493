import { InvalidArgumentError } from 'commander';

/** Longest wait that can be asked for: a day. */
const LONGEST = 86_400;

/**
 * An option's or environment variable's seconds as milliseconds.
 *
 * @throws InvalidArgumentError for what is no number from 0 to a day; a wait without a bound is none
 */
export function seconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(value <= LONGEST)) throw new InvalidArgumentError(`Give seconds, from 0 to ${LONGEST}.`);
  return value * 1000;
}
