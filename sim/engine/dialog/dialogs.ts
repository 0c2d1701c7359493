import type { AppConnection } from '../control/connection.ts';
import type { SipMessage } from '../message/index.ts';
import { Table } from '../table.ts';
import type { TimerWheel } from '../timers.ts';
import type { Dialog } from './dialog.ts';

/** All dialogs of an engine, by the contract's id and by what a request from the other side carries. */
export class Dialogs {
  readonly #byId = new Table<Dialog>();
  /** Call-ID and our tag: the To tag of a request in the dialog. */
  readonly #byLocal = new Table<Dialog>();
  readonly #byCallId = new Table<Dialog>();

  readonly #wheel: TimerWheel;

  constructor(wheel: TimerWheel) {
    this.#wheel = wheel;
  }

  get size(): number {
    return this.#byId.size;
  }

  add(dialog: Dialog): void {
    this.#byId.set(dialog.id, dialog);
    this.#byLocal.set(`${dialog.callId};${dialog.localTag}`, dialog);
    this.#byCallId.set(dialog.callId, dialog);
  }

  remove(dialog: Dialog): void {
    dialog.terminate();
    this.#wheel.clear(dialog.lapse);
    this.#byId.delete(dialog.id, dialog);
    this.#byLocal.delete(`${dialog.callId};${dialog.localTag}`, dialog);
    this.#byCallId.delete(dialog.callId, dialog);
  }

  /** Those of an application. */
  of(app: AppConnection): Dialog[] {
    return [...this.#byId.values()].filter((dialog) => dialog.app === app);
  }

  find(id: string): Dialog | undefined {
    return this.#byId.get(id);
  }

  /**
   * The dialog of a request from the other side (12.2.2), turned to the branch that sent it. A UAC's dialog that knows no
   * remote tag yet takes any.
   */
  match(request: SipMessage): Dialog | undefined {
    const toTag = request.to?.tag;
    if (toTag === undefined) return undefined;
    const dialog = this.#byLocal.get(`${request.callId};${toTag}`);
    if (dialog === undefined) return undefined;
    if (dialog.remoteTag !== undefined && !dialog.turnTo(request.from?.tag ?? '')) return undefined;
    return dialog;
  }

  /** The dialog with a Call-ID, wherever an application names no more than that. */
  findByCallId(callId: string): Dialog | undefined {
    return this.#byCallId.get(callId);
  }
}
