import type { Socket } from 'node:net';
import type { TimerHandle } from '../clock.ts';
import type { ConnectionSetup } from './connection.ts';
import { StreamConnection } from './stream.ts';

/** How often the address of a name is looked at while a connection to it is being established, milliseconds. */
const LOOK_MS = 250;

export interface Dialling {
  /** A socket on its way to an address. */
  readonly dial: (address: string) => Socket;
  readonly ready: 'connect' | 'secureConnect';
  /** The numeric address of the name as of now; undefined when nobody knows it. */
  readonly whereNow: () => string | undefined;
}

/**
 * An outgoing TCP or TLS connection to a host that was given by name. A host that has just started anew may have another
 * address, and what was sent to the old one would wait for nothing; so, until it is established, the connection follows its
 * name. The time that it may take (`connectMs`) stays that of one connection.
 */
export class NamedConnection extends StreamConnection {
  readonly #dialling: Dialling;
  readonly #setup: ConnectionSetup;
  #looking: TimerHandle;

  /** @param address where the name leads at first */
  constructor(setup: ConnectionSetup, address: string, dialling: Dialling) {
    super(setup, dialling.dial(address), dialling.ready);
    this.#dialling = dialling;
    this.#setup = setup;
    this.#looking = this.#lookLater();
  }

  protected override ended(cause?: Error): void {
    if (!this.#followed()) super.ended(cause);
  }

  protected override destroy(): void {
    this.#looking.cancel();
    super.destroy();
  }

  #lookLater(): TimerHandle {
    return this.#setup.clock.setTimer(LOOK_MS, () => {
      this.#followed();
      if (this.state === 'handshake') this.#looking = this.#lookLater();
    });
  }

  /** @returns whether the name leads elsewhere by now, and the connection with it */
  #followed(): boolean {
    if (this.state !== 'handshake') return false;
    const { dial, ready, whereNow } = this.#dialling;
    const address = whereNow();
    if (address === undefined || address === this.remoteAddress) return false;
    const from = this.remoteAddress;
    this.remoteAddress = address;
    this.replace(dial(address), ready);
    this.events.onMoved(this, from);
    return true;
  }
}
