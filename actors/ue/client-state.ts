/**
 * What one MCPTT user is on this UE. Several live behind one registration (requirement MULTI-1).
 *
 *     logged-out ──logged-in──> logged-in ──bound──> bound ──┐ bound (settings refreshed)
 *         ▲                     │  ▲  ▲                │ ▲───┘
 *         │                     └──┘  └────unbound─────┤   the SIP session ended, the key was revoked, the server forgot
 *         │                 logged-in └───logged-in────┤   new tokens: to be authorized anew
 *         └──────logged-off───────┴─────logged-off─────┘
 *
 * Whether the user has a key is the key store's to say: a key may come before or after the registration (ORDER-1).
 */
import { UeError } from './errors.ts';

export type ClientState = 'logged-out' | 'logged-in' | 'bound';
export type ClientEvent = 'logged-in' | 'bound' | 'unbound' | 'logged-off';

const NEXT: Readonly<Record<ClientState, Partial<Record<ClientEvent, ClientState>>>> = {
  'logged-out': { 'logged-in': 'logged-in' },
  'logged-in': { 'logged-in': 'logged-in', bound: 'bound', unbound: 'logged-in', 'logged-off': 'logged-out' },
  bound: { 'logged-in': 'logged-in', bound: 'bound', unbound: 'logged-in', 'logged-off': 'logged-out' },
};

/** The only place where a client changes its state. @throws UeError `UE_CLIENT_STATE` */
export function nextClientState(state: ClientState, event: ClientEvent): ClientState {
  const next = NEXT[state][event];
  if (next === undefined) throw new UeError('UE_CLIENT_STATE', `a client that is ${state} cannot become ${event}`);
  return next;
}
