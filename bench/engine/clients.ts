import { WebSocket } from 'ws';
import { buildRequest } from '../../sim/engine/message/index.ts';
import { input, serve } from './part.ts';

/** Opens WSS connections, registers on each, and keeps them. Ready when all are registered. */
const { port, count } = input<{ port: number; count: number }>();
const sockets: WebSocket[] = [];

function register(index: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}`, 'sip', {
      rejectUnauthorized: false,
      perMessageDeflate: false,
    });
    sockets.push(socket);
    socket.on('error', reject);
    socket.on('message', (data: Buffer) => {
      if (data.toString().startsWith('SIP/2.0 200')) resolve();
      else reject(new Error(data.toString()));
    });
    socket.on('open', () => {
      const request = buildRequest('REGISTER', 'sip:example.com', [
        ['Via', `SIP/2.0/WSS ${index}.invalid;branch=z9hG4bK${index}`],
        ['Max-Forwards', '70'],
        ['From', `<sip:user${index}@example.com>;tag=${index}`],
        ['To', `<sip:user${index}@example.com>`],
        ['Call-ID', `register-${index}`],
        ['CSeq', '1 REGISTER'],
        ['Contact', `<sip:user${index}@${index}.invalid;transport=ws>`],
        ['Expires', '3600'],
      ]);
      socket.send(request.serialise());
    });
  });
}

const AT_A_TIME = 50;
for (let from = 0; from < count; from += AT_A_TIME) {
  const some = Array.from({ length: Math.min(AT_A_TIME, count - from) }, (_, i) => register(from + i));
  await Promise.all(some);
}
serve('ready', () => {
  for (const socket of sockets) socket.terminate();
});
