import { headText, sipHead } from '../trace/describe.ts';
import type { MessageRecord } from '../trace/record.ts';
import type { RecordFilter } from './scenario.ts';

function httpHead(bytes: Uint8Array): { method?: string; status?: number } {
  const startLine = headText(bytes).split('\r\n', 1)[0] ?? '';
  const status = startLine.match(/^HTTP\/\S+ (\d{3})/)?.[1];
  return status === undefined ? { method: startLine.split(' ', 1)[0] ?? '' } : { status: Number(status) };
}

/** Whether the record has every property that the filter names. */
export function matches(filter: RecordFilter, record: MessageRecord): boolean {
  if (filter.interface !== undefined && record.interface !== filter.interface) return false;
  if (filter.actor !== undefined && record.actor !== filter.actor) return false;
  if (filter.peer !== undefined && record.peer !== filter.peer) return false;
  if (filter.direction !== undefined && record.direction !== filter.direction) return false;
  if (filter.method !== undefined || filter.status !== undefined) {
    if (record.protocol === 'nas') return false;
    if (record.protocol === 'sip') {
      const head = sipHead(record.bytes);
      if (head.status !== filter.status) return false;
      if (filter.method !== undefined && head.cseqMethod !== filter.method) return false;
    } else {
      const head = httpHead(record.bytes);
      if (head.status !== filter.status) return false;
      if (filter.status === undefined && head.method !== filter.method) return false;
    }
  }
  return filter.where?.(record) ?? true;
}

/** The filter in words, for a guard time's failure text. */
export function inWords(filter: RecordFilter): string {
  const parts = [
    filter.status === undefined
      ? filter.method
      : `${filter.status}${filter.method === undefined ? '' : ` to ${filter.method}`}`,
    filter.interface === undefined ? undefined : `on ${filter.interface}`,
    filter.actor === undefined ? undefined : `${filter.direction ?? 'seen'} by ${filter.actor}`,
  ];
  return parts.filter((p) => p !== undefined).join(' ');
}
