/**
 * Compares JSON reports of the same scenarios in several topologies, field by field. What may differ, and only that, is taken
 * out first: times, and what every run makes afresh or finds elsewhere (addresses, ports, identifiers, octets, counts of messages
 * that a poll or a retransmission adds).
 *
 *     node --import tsx test/containers/compare-reports.ts one-process.json processes.json containers.json
 *
 * Prints each difference and ends with 1 when there is one.
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Fields that hold a time, or the octets and numbers of one run. */
const ASIDE = new Set(['started', 'durationMs', 'clockOffsets', 'time', 'sent', 'received', 'head']);

/** Texts that name something made afresh or found at another place, in the order in which they are replaced. */
const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/urn:uuid:[0-9a-f-]{36}/gi, 'urn:uuid:…'],
  [/\b(https|wss|tcp):\/\/[^/\s]+/g, '$1://…'],
  [/\b[\w-]+@[0-9a-f]{12}\.invalid/g, '…@….invalid'],
  [/@[\w.-]+:\d+\b/g, '@<address>'],
  [/\bat [a-z][\w.-]*:\d{2,5}\b/g, 'at <address>'],
  [/\/(auth|login|interaction)\/[\w-]{43}/g, '/$1/…'],
  [/\b\d{1,3}(\.\d{1,3}){3}(:\d+)?/g, '<address>'],
  [/\bf[0-9a-f]{7}\b/g, '<hex>'],
  [/\b(?=[0-9a-f]*\d)(?=\d*[a-f]|[0-9a-f]{8})[0-9a-f]{6,}\b/gi, '<hex>'],
];

/** Counts of messages and measured times in what a step shows. Every other number stays: bits, lifetimes, status codes, how many of a thing. */
const MEASURED = /\b\d+(\.\d+)?(?= (SIP )?messages\b|\/s\b| ms\b)|(?<=\bin )\d+(\.\d+)?(?= s\b)/g;

function stable(text: string, key: string): string {
  const named = VOLATILE.reduce((all, [what, by]) => all.replace(what, by), text);
  return key === 'summary' ? named : named.replace(MEASURED, '<n>');
}

/** The report with what may differ taken out. The order of messages in one scenario is causal, not total: they are compared as a bag. */
function comparable(value: Json, key = ''): Json {
  if (Array.isArray(value)) {
    const items = value.map((item) => comparable(item));
    return key === 'messages' ? bag(items) : items;
  }
  if (value !== null && typeof value === 'object') {
    const kept = Object.entries(value).filter(([name]) => !ASIDE.has(name));
    // An event may reach the ladder just before or just after the next step begins.
    const fields = key === '' && 'interface' in value ? kept.filter(([name]) => name !== 'step') : kept;
    return Object.fromEntries(fields.map(([name, item]) => [name, comparable(item, name)]));
  }
  return typeof value === 'string' && VOLATILE_IN.has(key) ? stable(value, key) : value;
}

const bag = (messages: Json[]): string[] =>
  [...new Set(messages.filter((one) => !isUnprompted(one)).map((one) => JSON.stringify(one)))].toSorted();

/**
 * What servers tell each other or a UE by themselves (pushes, events, ends of streams, de-registration after a reset) comes when it
 * comes: the last of it may fall before or after a scenario's end. What a step needs of it, the step asserts.
 */
function isUnprompted(message: Json): boolean {
  if (!isObject(message)) return false;
  const { from, to, interface: on, summary } = message as Record<string, string>;
  // A UE opens its event stream once it has a key, and beside whatever comes next.
  if (on === 'HTTP-1') return !from!.startsWith('ue') || summary!.startsWith('GET /keymanagement/cek/v1/events');
  // Servers fetch the IdM's key set when what they hold of it is too old for the token at hand.
  if (on === 'CSC-1') return !from!.startsWith('ue') && !to!.startsWith('ue');
  return on === 'SIP-2' && summary!.includes('REGISTER');
}

/** Fields whose text may name such things; verdicts, titles, clauses and identifiers of scenarios are compared as they are. */
const VOLATILE_IN = new Set(['label', 'value', 'summary', 'message', 'expected', 'seen']);

/** @returns one line for each place where two reports (JSON texts) differ; empty when they say the same */
export function differences(one: string, other: string): string[] {
  const lines: string[] = [];
  compare(comparable(JSON.parse(one) as Json), comparable(JSON.parse(other) as Json), 'report', lines);
  return lines;
}

function compare(one: Json, other: Json, at: string, lines: string[]): void {
  if (Array.isArray(one) && Array.isArray(other)) {
    if (at.endsWith('.messages')) compareBags(one, other, at, lines);
    else
      for (let i = 0; i < Math.max(one.length, other.length); i++)
        compare(one[i] ?? null, other[i] ?? null, `${at}[${i}]`, lines);
  } else if (isObject(one) && isObject(other)) {
    for (const name of new Set([...Object.keys(one), ...Object.keys(other)]))
      compare(one[name] ?? null, other[name] ?? null, `${at}.${name}`, lines);
  } else if (one !== other) lines.push(`${at}: ${JSON.stringify(one)} / ${JSON.stringify(other)}`);
}

/** Items are messages as JSON text. */
function compareBags(one: Json[], other: Json[], at: string, lines: string[]): void {
  for (const item of one) if (!other.includes(item)) lines.push(`${at}: only in the first: ${item as string}`);
  for (const item of other) if (!one.includes(item)) lines.push(`${at}: only in the second: ${item as string}`);
}

const isObject = (value: Json): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function main(files: readonly string[]): number {
  const [first, ...others] = files.map((file) => [file, readFileSync(file, 'utf8')] as const);
  if (first === undefined || others.length === 0) {
    process.stderr.write('give at least two report files\n');
    return 2;
  }
  let found = 0;
  for (const [file, text] of others) {
    const lines = differences(first[1], text);
    for (const line of lines) process.stdout.write(`${first[0]} / ${file}: ${line}\n`);
    found += lines.length;
  }
  process.stdout.write(`${files.length} reports, ${found} differences\n`);
  return found === 0 ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = main(process.argv.slice(2));
