/** What the scenarios after the figure see in messages: each row makes one message wrong, and the step names who sent it. */
import { expect } from 'chai';
import { life1LogOff } from '../../scenarios/life-1-log-off.ts';
import { life2Messages } from '../../scenarios/life-2-messages.ts';
import { life2Operator } from '../../scenarios/life-2-operator.ts';
import { pol1Off } from '../../scenarios/pol-1-off.ts';
import { step4Refusals } from '../../scenarios/step-4-refusals.ts';
import { type OpenWorld, openWorld } from '../../sim/cli/world.ts';
import { runScenario } from '../../sim/scenario/runner.ts';
import type { Scenario } from '../../sim/scenario/scenario.ts';
import { type Edit, only, seen } from './retold.ts';

const CHANGE = /^POST \S*\/cek\/v1\/push[\s\S]*<Supersedes/;

describe('the scenarios after the figure name who sent a wrong message', () => {
  let world: OpenWorld;

  before(async function () {
    this.timeout(30_000);
    world = await openWorld({ actors: ['ue', 'ue-b'] });
  });

  after(() => world.close());

  const rows: [what: string, Scenario, step: string, who: string, message: RegExp, Edit][] = [
    [
      'a new CEK pushed for another user',
      life2Operator,
      '5',
      'kms',
      /UserUri of the CEK for sip:mcptt-server/,
      only(CHANGE, (text) => text.replace(/(<Cek>[\s\S]*?<UserUri>)[^<]*/, '$1sip:bob@mcptt.example')),
    ],
    [
      'a new CEK pushed in no I_MESSAGE',
      life2Operator,
      '5',
      'kms',
      /I_MESSAGE/,
      only(CHANGE, (text) => text.replace(/(<IMessage>)[^<]+/, '$1AAAA')),
    ],
    [
      'an update asked for without the count of messages',
      life2Messages,
      '5',
      'ue',
      /messages that the UE has counted/,
      (text) => text.replace(/<Messages>[^<]*<\/Messages>/, ''),
    ],
    [
      'a refresh of settings without SIP-If-Match',
      step4Refusals,
      '4-ter',
      'ue',
      /SIP-If-Match/,
      (text) => text.replace(/^SIP-If-Match:.*\r\n/gim, ''),
    ],
    [
      'a log-off without SIP-If-Match',
      life1LogOff,
      '5',
      'ue',
      /SIP-If-Match/,
      (text) => text.replace(/^SIP-If-Match:.*\r\n/gim, ''),
    ],
    [
      'another token in a PUBLISH in clear',
      pol1Off,
      '4',
      'ue',
      /access token that the IdM gave for the MCPTT server/,
      only(/^PUBLISH/, (text) => text.replace(/\[token \w+\]/, '[token 00000000]')),
    ],
  ];
  for (const [what, scenario, step, who, message, edit] of rows) {
    it(`${what}: ${scenario.id}, step ${step}, ${who}`, async function () {
      this.timeout(60_000);
      const { verdict, steps } = await runScenario(scenario, seen(world, edit));
      const failure = steps.find((one) => one.failure !== undefined)?.failure;
      expect({ verdict, step: failure?.step, who: failure?.responsible }, failure?.message).to.deep.equal({
        verdict: 'fail',
        step,
        who,
      });
      expect(failure?.message).to.match(message);
    });
  }
});
