import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { buildRequest } from '../../sim/engine/message/index.ts';
import { input, serve } from './part.ts';

/** What the probe has seen since it was last asked. */
export interface Probed {
  /** From sending a REGISTER to having its 200, milliseconds, one for each. */
  readonly times: readonly number[];
  /** Sent more than a second ago and not answered; the probe repeats nothing. */
  readonly lost: number;
}

/** Sends a REGISTER so many times a second beside the load, and times each answer to the microsecond. */
const { port, perSecond } = input<{ port: number; perSecond: number }>();
const socket = createSocket('udp4');
socket.bind(0, '127.0.0.1');
await once(socket, 'listening');
const own = socket.address().port;

const sent = new Map<string, number>();
let times: number[] = [];
let serial = 0;

socket.on('message', (octets) => {
  const callId = /^Call-ID: (.+)$/m.exec(octets.toString('latin1'))?.[1]?.trim() ?? '';
  const start = sent.get(callId);
  if (start === undefined) return;
  sent.delete(callId);
  times.push(performance.now() - start);
});

const timer = setInterval(() => {
  serial += 1;
  const callId = `probe-${own}-${serial}`;
  const request = buildRequest('REGISTER', 'sip:example.com', [
    ['Via', `SIP/2.0/UDP 127.0.0.1:${own};branch=z9hG4bK-${callId};rport`],
    ['Max-Forwards', '70'],
    ['From', `<sip:probe@example.com>;tag=${serial}`],
    ['To', '<sip:probe@example.com>'],
    ['Call-ID', callId],
    ['CSeq', '1 REGISTER'],
    ['Contact', `<sip:probe@127.0.0.1:${own}>`],
    ['Expires', '3600'],
  ]).serialise();
  sent.set(callId, performance.now());
  socket.send(request, port, '127.0.0.1');
}, 1000 / perSecond);

serve(
  'ready',
  () => {
    clearInterval(timer);
    socket.close();
  },
  (): Probed => {
    const told = times;
    times = [];
    let lost = 0;
    for (const [callId, start] of sent) {
      if (performance.now() - start < 1000) continue;
      sent.delete(callId);
      lost += 1;
    }
    return { times: told, lost };
  },
);
