import Srf from 'drachtio-srf';
import { input, serve } from './part.ts';

/** The trivial application: every REGISTER is answered 200. */
const { host, port } = input<{ host: string; port: number }>();
const srf = new Srf();
srf.use('register', (request, response) => {
  response.send(200, { headers: { Contact: request.get('Contact'), Expires: '3600' } });
});
await srf.connect({ host, port, secret: 'cymru' });
serve('ready', () => srf.disconnect());
