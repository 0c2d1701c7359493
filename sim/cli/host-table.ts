/**
 * Addresses of host names for the SIP engine, which asks no DNS of its own (it would wait in the middle of a message). Kept
 * fresh, because a container that starts again has another address.
 */
import { isIP } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { numeric } from './topology.ts';

/** How old an address may be, milliseconds. */
const REFRESH_MS = 500;

export class HostTable {
  /** Name in lower case → numeric address; changes as the DNS does. A name that is not known now keeps its last address. */
  readonly addresses: Record<string, string> = {};
  readonly #names: readonly string[];
  readonly #closed = new AbortController();
  #refreshing: Promise<void> | undefined;

  constructor(hosts: readonly string[]) {
    this.#names = [...new Set(hosts.filter((host) => isIP(host) === 0).map((host) => host.toLowerCase()))];
  }

  /** Looks the names up, and from now on again and again. */
  async open(): Promise<void> {
    await this.#look();
    if (this.#names.length > 0) this.#refreshing = this.#refresh();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await setTimeout(REFRESH_MS, undefined, { signal }).catch(() => {});
      await this.#look();
    }
  }

  async #look(): Promise<void> {
    const found = await Promise.allSettled(this.#names.map(async (name) => [name, await numeric(name)] as const));
    for (const one of found) if (one.status === 'fulfilled') this.addresses[one.value[0]] = one.value[1];
  }
}
