/**
 * Host names, asked of every name server at once. A container has one name server for each of its networks, and one of them may
 * stay silent (podman's do when many containers start together); the system's look-up asks them in turn, waits seconds for each,
 * and keeps one of few threads meanwhile, so that a single silent server would hold up every connection of an actor.
 */
import dns, { type LookupAddress, type LookupAllOptions, type LookupOneOptions, type LookupOptions } from 'node:dns';
import { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isIP } from 'node:net';
import { callbackify } from 'node:util';

/** How long a name server is waited for, milliseconds (c-ares may stretch it to twice that). */
const ANSWER_MS = 300;
/** How often all are asked when not one of them says anything: podman's stops for a moment whenever a container starts. */
const ROUNDS = 6;

/**
 * @param host a name without search domain
 * @param servers `address` or `address:port` each; by default those of this machine
 * @returns the IPv4 address that the quickest server with an answer gives
 * @throws AggregateError when no server gives one: in under a second, or in a few when not one says anything at all
 */
export async function quickestAddress(host: string, servers: readonly string[] = dns.getServers()): Promise<string> {
  for (let round = 1; ; round++) {
    try {
      return await askedOnce(host, servers);
    } catch (cause) {
      const codes = ((cause as Partial<AggregateError>).errors ?? []).map(({ code }: NodeJS.ErrnoException) => code);
      const unanswered =
        codes.includes('ETIMEOUT') && !codes.some((code) => code === 'ENOTFOUND' || code === 'ENODATA');
      if (!unanswered || round === ROUNDS) throw cause;
    }
  }
}

async function askedOnce(host: string, servers: readonly string[]): Promise<string> {
  const resolvers = servers.map((server) => {
    const resolver = new dns.promises.Resolver({ timeout: ANSWER_MS, tries: 1 });
    resolver.setServers([server]);
    return resolver;
  });
  try {
    return await Promise.any(
      resolvers.map(async (resolver) => {
        const [address] = await resolver.resolve4(host);
        if (address === undefined) throw new Error(`${host} has no IPv4 address`);
        return address;
      }),
    );
  } finally {
    for (const resolver of resolvers) resolver.cancel();
  }
}

/** Whether the hosts file, which goes before every name server, has the name. */
export function isInHostsFile(host: string, file = '/etc/hosts'): boolean {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return false;
  }
  const name = host.toLowerCase();
  return text.split('\n').some((line) => line.replace(/#.*/, '').toLowerCase().split(/\s+/).slice(1).includes(name));
}

type Done = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/**
 * Makes every connection of this process look names up by {@link quickestAddress}, and by the system only what that does not know
 * (a hosts file, a search domain, IPv6), unless a server is silent. For a process that is one actor, or the runner, among other machines: the change is the
 * whole process's, because the libraries that connect take no look-up function.
 *
 * @returns what takes the change back
 */
export function askEveryNameServer(): () => void {
  const { lookup, promises } = dns;
  const system = promises.lookup;
  const look = async (host: string, options: LookupOptions): Promise<LookupAddress[]> => {
    const bySystem = (): Promise<LookupAddress[]> => system(host, { ...options, all: true });
    if (
      isIP(host) !== 0 ||
      host === 'localhost' ||
      isInHostsFile(host) ||
      options.family === 6 ||
      options.family === 'IPv6'
    )
      return bySystem();
    try {
      return [{ address: await quickestAddress(host), family: 4 }];
    } catch (cause) {
      // The system would wait for the silent one, in a thread that holds up even the end of the process.
      if ((cause as Partial<AggregateError>).errors?.some(({ code }: NodeJS.ErrnoException) => code === 'ETIMEOUT'))
        throw Object.assign(new Error(`no name server knows ${host}, and one of them is silent`), {
          code: 'EAI_AGAIN',
        });
      return bySystem();
    }
  };
  const withCallback = (host: string, given: LookupOptions | number | Done, callback?: Done): void => {
    const done = typeof given === 'function' ? given : callback!;
    const options = typeof given === 'object' ? given : typeof given === 'number' ? { family: given } : {};
    callbackify(look)(host, options, (cause, found) => {
      if (cause !== null) done(cause, '', 0);
      else if (options.all === true) done(null, found);
      else done(null, found[0]!.address, found[0]!.family);
    });
  };
  const withPromise = async (
    host: string,
    given: LookupOneOptions | LookupAllOptions | number = {},
  ): Promise<unknown> => {
    const options = typeof given === 'number' ? { family: given } : given;
    const found = await look(host, options);
    return options.all === true ? found : found[0];
  };
  dns.lookup = Object.assign(withCallback as typeof lookup, { __promisify__: lookup.__promisify__ });
  promises.lookup = withPromise as typeof system;
  syncBuiltinESMExports();
  return () => {
    dns.lookup = lookup;
    promises.lookup = system;
    syncBuiltinESMExports();
  };
}
