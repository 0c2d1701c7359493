import { CekError } from './errors.ts';

/**
 * A CEK as the KMS sees it, from its making to its end.
 *
 * ```
 *          the server                     a successor was
 *          acknowledged                   acknowledged
 *  pending-ack ─────────────▶ active ─────────────────────▶ superseded
 *       │                       │                               │
 *       │ ended                 │ ended                         │ ended (the overlap is over, or anything below)
 *       └───────────────────────┴──────────────▶ ended ◀────────┘
 * ```
 * It ends by de-registration, log-off, revocation, expiry or, from `superseded`, by the end of the overlap. `ended` is
 * final: the KMS has forgotten the key and keeps the Key ID so that it is never given again.
 */
export type IssuedCekState = 'pending-ack' | 'active' | 'superseded' | 'ended';
export type IssuedCekEvent = 'acknowledged' | 'superseded' | 'ended';

const NEXT: Readonly<Record<IssuedCekState, Partial<Record<IssuedCekEvent, IssuedCekState>>>> = {
  'pending-ack': { acknowledged: 'active', ended: 'ended' },
  active: { superseded: 'superseded', ended: 'ended' },
  superseded: { ended: 'ended' },
  ended: {},
};

/** The only place where an issued CEK changes its state. @throws CekError `CEK_ILLEGAL_TRANSITION` */
export function nextIssuedState(state: IssuedCekState, event: IssuedCekEvent, keyId: string): IssuedCekState {
  const next = NEXT[state][event];
  if (next === undefined) {
    throw new CekError('CEK_ILLEGAL_TRANSITION', `CEK ${keyId} is ${state}: it cannot become ${event}`);
  }
  return next;
}
