/**
 * From inside the UE's container: what the figure lets it reach answers, and nothing else does.
 *
 *     node reach.mjs open host:port … -- shut host:port …
 */
import { connect } from 'node:net';

// As the actors do: one of the container's name servers may be silent.
const { askEveryNameServer } = await import('/app/dist/sim/cli/name-service.js');
askEveryNameServer();

/** Plenty for what answers; what does not is waited for less long. */
const BOUND_MS = { open: 10_000, shut: 1500 };

/** @returns 'open', or why not */
const tried = (at, timeout) =>
  new Promise((resolve) => {
    const colon = at.lastIndexOf(':');
    const socket = connect({ host: at.slice(0, colon), port: Number(at.slice(colon + 1)), timeout });
    const end = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end('open'));
    socket.once('timeout', () => end('no answer'));
    socket.once('error', (error) => end(error.code ?? error.message));
  });

const words = process.argv.slice(2);
const middle = words.indexOf('--');
let wrong = 0;
for (const [expected, targets] of [
  ['open', words.slice(1, middle)],
  ['shut', words.slice(middle + 2)],
]) {
  const seen = await Promise.all(targets.map((target) => tried(target, BOUND_MS[expected])));
  for (const [i, target] of targets.entries()) {
    const right = (seen[i] === 'open') === (expected === 'open');
    if (!right) wrong++;
    console.log(`${right ? 'ok   ' : 'WRONG'} ${target.padEnd(24)} ${seen[i]}`);
  }
}
process.exitCode = wrong === 0 ? 0 : 1;
