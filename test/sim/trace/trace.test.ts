import { expect } from 'chai';
import type { MessageRecord } from '../../../sim/trace/record.ts';
import { Trace } from '../../../sim/trace/trace.ts';

let counters: Record<string, number> = {};

const count = (actor: string): number => {
  counters[actor] = (counters[actor] ?? -1) + 1;
  return counters[actor];
};

const record = (
  actor: string,
  direction: 'sent' | 'received',
  peer: string,
  correlation: string,
  time: number,
): MessageRecord => ({
  actor,
  direction,
  peer,
  interface: 'HTTP-1',
  protocol: 'http',
  correlation,
  bytes: Buffer.from(`POST /${correlation} HTTP/1.1\r\n\r\n`),
  sequence: count(actor),
  time,
  redacted: [],
});

describe('trace: two records, one arrow, in causal order', () => {
  beforeEach(() => {
    counters = {};
  });

  it('joins what was sent with what was received', () => {
    const trace = new Trace();
    trace.add(record('ue', 'sent', 'kms', 'a', 1));
    trace.add(record('kms', 'received', 'ue', 'a', 2));
    const [arrow, ...more] = trace.arrows();
    expect(more).to.have.length(0);
    expect(arrow).to.include({ from: 'ue', to: 'kms', summary: 'POST /a' });
    expect(arrow!.sent!.actor).to.equal('ue');
    expect(arrow!.received!.actor).to.equal('kms');
  });

  it('draws an arrow where only one end was seen', () => {
    const trace = new Trace();
    trace.add(record('kms', 'received', 'ue', 'a', 2));
    expect(trace.arrows()).to.have.length(1);
    expect(trace.arrows()[0]).to.include({ from: 'ue', to: 'kms' });
  });

  it('never shows a receive before its send, however wrong the receiver’s clock is', () => {
    const trace = new Trace();
    const request = [record('ue', 'sent', 'kms', 'q', 1000), record('kms', 'received', 'ue', 'q', 5)] as const;
    const answer = [record('kms', 'sent', 'ue', 'r', 6), record('ue', 'received', 'kms', 'r', 1002)] as const;
    for (const r of [answer[0], request[1], answer[1], request[0]]) trace.add(r);
    expect(trace.arrows().map((a) => a.summary)).to.deep.equal(['POST /q', 'POST /r']);
  });

  it('orders unrelated messages by time on the runner’s clock', () => {
    const trace = new Trace();
    trace.setOffset('kms', 10_000);
    trace.add(record('kms', 'sent', 'mcptt-as', 'later', 10_020));
    trace.add(record('ue', 'sent', 'idm', 'earlier', 10));
    expect(trace.arrows().map((a) => a.summary)).to.deep.equal(['POST /earlier', 'POST /later']);
  });

  it('names the method that an HTTP response answers, whichever record came first', () => {
    const trace = new Trace();
    const question = record('ue', 'sent', 'kms', 'a1/request', 1);
    trace.add({ ...record('kms', 'sent', 'ue', 'a1/response', 2), bytes: Buffer.from('HTTP/1.1 200 OK\r\n\r\n') });
    trace.add({ ...record('kms', 'sent', 'ue', 'b2/response', 3), bytes: Buffer.from('HTTP/1.1 409 \r\n\r\n') });
    trace.add(question);
    expect(trace.arrows().map((a) => a.summary)).to.deep.equal(['POST /a1/request', '200 OK (POST)', '409 Conflict']);
  });

  it('keeps two messages with the same name apart', () => {
    const trace = new Trace();
    for (const t of [1, 2]) {
      trace.add(record('ue', 'sent', 'kms', 'again', t));
      trace.add(record('kms', 'received', 'ue', 'again', t));
    }
    expect(trace.arrows()).to.have.length(2);
  });

  it('takes nothing of an exchange that began earlier, whenever it comes', async () => {
    const trace = new Trace(undefined, new Set(['0a']));
    const late = trace.next((r) => r.actor === 'kms', AbortSignal.timeout(2000));
    for (const half of ['0a/request', '0a/response', '0a/event-1', '0b/request', '0ab/request'])
      trace.add(record('kms', 'received', 'ue', half, 1));
    expect(trace.records.map((r) => r.correlation)).to.deep.equal(['0b/request', '0ab/request']);
    expect((await late).correlation).to.equal('0b/request');
  });

  it('waits for a record with a bound', async () => {
    const trace = new Trace();
    const late = trace.next((r) => r.correlation === 'x', AbortSignal.timeout(2000));
    trace.add(record('ue', 'sent', 'kms', 'x', 1));
    expect((await late).correlation).to.equal('x');
    const never = await trace.next((r) => r.correlation === 'y', AbortSignal.timeout(1)).catch((e: Error) => e.name);
    expect(never).to.equal('TimeoutError');
  });
});
