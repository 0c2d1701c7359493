/** The way to the state in which a scenario's own matter begins. A failure here is no verdict on it: `inconc`. */
import type { JsonObject } from '../../sim/control/actor.ts';
import type { Step, StepContext } from '../../sim/scenario/scenario.ts';
import { sipSession } from '../checks/keys.ts';

/** How far a UE and its users have come in Figure 7.x.2-1: after step 0, 1 and 2, 3a, 3b, 4. */
const REACHED = ['attached', 'registered', 'logged-in', 'keyed', 'bound'] as const;
export type Reached = (typeof REACHED)[number];

/** Users by the UE they use: `{ ue: ['alice', 'bob'] }`. */
export type Places = Readonly<Record<string, readonly string[]>>;

export async function reach(
  t: StepContext,
  reached: Reached,
  ue = 'ue',
  users: readonly string[] = ['alice'],
): Promise<void> {
  const far = REACHED.indexOf(reached);
  const device = t.actor(ue);
  await t.precondition(`${ue} is ${reached}${far > 1 ? ` with ${users.join(', ')}` : ''}`, async () => {
    await device.do('attach');
    if (far >= 1) await register(t, ue);
    for (const user of users) {
      if (far >= 2) await device.do('logIn', { user });
      if (far >= 3) await device.do('requestKey', { user });
      if (far >= 4) await device.do('publish', { user });
    }
  });
}

/** Steps 1 and 2: registered, and the MCPTT server knows of it. */
export async function register(t: StepContext, ue = 'ue', args: JsonObject = {}): Promise<string> {
  await t.actor(ue).do('register', args);
  const session = await sipSession(t, ue);
  await t.until(`the MCPTT server knows the SIP session of ${ue}`, async () => {
    const sessions = await t.actor('mcptt-as').read<{ sipSession: string }[]>('sessions');
    return sessions.some((known) => known.sipSession === session);
  });
  return session;
}

const TITLES: Readonly<Record<Reached, string>> = {
  attached: 'attach (step 0)',
  registered: 'attach and register (steps 0 to 2)',
  'logged-in': 'attach, register and log in (steps 0 to 3a)',
  keyed: 'come to hold key material and CEK (steps 0 to 3b)',
  bound: 'come to be authorized for the service (steps 0 to 4)',
};

/** The first step of a scenario. */
export const bringUp = (reached: Reached, places: Places = { ue: ['alice'] }): Step => ({
  number: '0',
  title: `${Object.entries(places)
    .map(([ue, users]) => (users.length === 0 ? ue : `${users.join(' and ')} on ${ue}`))
    .join(', ')} ${TITLES[reached]}`,
  clause: 'pCR 7.x.2',
  responsible: 'ue',
  guard: 20_000,
  run: async (t) => {
    for (const [ue, users] of Object.entries(places)) await reach(t, reached, ue, users);
  },
});

/** Every actor of the figure, with these UEs. */
export const withUes = (...ues: readonly string[]): string[] => [
  ...ues,
  'access-network',
  'sip-core',
  'mcptt-as',
  'idm',
  'kms',
];
