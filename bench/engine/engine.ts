import { Engine } from '../../sim/engine/index.ts';
import { makeCertificate } from '../../test/sim/engine/transport/support.ts';
import { serve } from './part.ts';

const { key, cert } = await makeCertificate();
const host = '127.0.0.1';
const engine = new Engine({
  listen: [
    { protocol: 'udp', host, port: 0 },
    { protocol: 'wss', host, port: 0 },
  ],
  control: { host, port: 0, secret: 'cymru' },
  tls: { privateKey: key, certificate: cert },
});
serve(await engine.start(), () => engine.stop());
