/**
 * Addresses of host names for the SIP engine, which asks no DNS of its own (it would wait in the middle of a message). Kept
 * fresh, because a container that starts again has another address.
 */
import { isIP } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { quickestAddress } from './name-service.ts';
import { numeric } from './topology.ts';

/** How old an address may be, milliseconds. */
const REFRESH_MS = 250;

export class HostTable {
  /** Name in lower case → numeric address; changes as the DNS does. A name that is not known now keeps its last address. */
  readonly addresses: Record<string, string> = {};
  readonly #names: readonly string[];
  readonly #closed = new AbortController();
  #refreshing: Promise<void> | undefined;

  constructor(hosts: readonly string[]) {
    this.#names = [...new Set(hosts.filter((host) => isIP(host) === 0).map((host) => host.toLowerCase()))];
  }

  /** Keeps the addresses of all names that are known by now, and of the others as soon as they are. */
  open(): void {
    if (this.#names.length > 0) this.#refreshing = this.#refresh();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await Promise.all(this.#names.map((name) => this.#look(name)));
      await setTimeout(REFRESH_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #look(name: string): Promise<void> {
    try {
      this.addresses[name] = await quickestAddress(name);
    } catch {
      // Away for now, or known to this machine alone (a hosts file): what was known stays.
      if (!this.#closed.signal.aborted && this.addresses[name] === undefined)
        await numeric(name).then(
          (address) => {
            this.addresses[name] = address;
          },
          () => {},
        );
    }
  }
}
