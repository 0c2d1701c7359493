import { CekError } from './errors.ts';

/**
 * A CEK at one endpoint, the MCPTT client or the MCPTT server.
 *
 * ```
 *  (taken as pending-ack)        (taken as active)
 *           │                            │
 *           ▼         confirmed          ▼       superseded            ended (the overlap is over)
 *      pending-ack ─────────────────▶ current ───────────────▶ overlap ──────────────▶ retired
 *           │                            │                                                ▲
 *           └────────────────────────────┴──── ended (de-registered, logged off, revoked, expired)
 * ```
 * `current` seals and opens; `overlap` only opens, until its bound; `pending-ack` opens and does not seal yet, because
 * the MCPTT server may not hold it; of `retired` nothing is left but the Key ID, so that it is refused as retired.
 */
export type HeldCekState = 'pending-ack' | 'current' | 'overlap' | 'retired';
export type HeldCekEvent = 'confirmed' | 'superseded' | 'ended';

const NEXT: Readonly<Record<HeldCekState, Partial<Record<HeldCekEvent, HeldCekState>>>> = {
  'pending-ack': { confirmed: 'current', ended: 'retired' },
  current: { superseded: 'overlap', ended: 'retired' },
  overlap: { ended: 'retired' },
  retired: {},
};

/** The only place where a held CEK changes its state. @throws CekError `CEK_ILLEGAL_TRANSITION` */
export function nextHeldState(state: HeldCekState, event: HeldCekEvent, keyId: string): HeldCekState {
  const next = NEXT[state][event];
  if (next === undefined) {
    throw new CekError('CEK_ILLEGAL_TRANSITION', `CEK ${keyId} is ${state}: it cannot become ${event}`);
  }
  return next;
}
