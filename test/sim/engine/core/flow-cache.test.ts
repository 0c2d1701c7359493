import { expect } from 'chai';
import { ManualClock } from '../../../../sim/engine/clock.ts';
import { FlowCache } from '../../../../sim/engine/core/flow-cache.ts';
import { buildRequest, buildResponse, parseUri } from '../../../../sim/engine/message/index.ts';
import type { Flow, TransportLayer } from '../../../../sim/engine/transport/index.ts';

describe('sim/engine: connections behind contacts (contract, section 6)', () => {
  const setup = () => {
    const clock = new ManualClock();
    const open = new Map<string, Flow>();
    const flow = (id: string, protocol: Flow['protocol'] = 'tcp'): Flow => {
      const made = { id, protocol, localAddress: '', localPort: 0, remoteAddress: '', remotePort: 0 };
      open.set(id, made);
      return made;
    };
    const transport = { flow: (id: string) => open.get(id) } as unknown as TransportLayer;
    const cache = new FlowCache(clock, transport);
    const register = (contact: string, over: Flow, granted: string[] = [], expires?: string) => {
      const request = buildRequest('REGISTER', 'sip:r', [
        ['Contact', contact],
        ...(expires === undefined ? [] : [['Expires', expires] as const]),
      ]);
      const response = buildResponse(request, 200);
      for (const value of granted) response.append('contact', value);
      cache.learn(request, response, over);
    };
    const find = (uri: string) => cache.find(parseUri(uri)!)?.id;
    return { clock, open, flow, cache, register, find };
  };

  it('lasts as long as the response grants, whatever was asked for', () => {
    const { clock, flow, register, find } = setup();
    register('<sip:ue@h>;expires=600', flow('f'), ['<sip:ue@h>;expires=60']);
    clock.advance(59_999);
    expect(find('sip:ue@h')).to.equal('f');
    clock.advance(1);
    expect(find('sip:ue@h')).to.equal(undefined);
  });

  it('without a word of the registrar: what was asked for, else an hour', () => {
    const { clock, flow, register, find } = setup();
    register('<sip:a@h>', flow('f'), [], '30');
    register('<sip:b@h>', flow('f'));
    clock.advance(30_000);
    expect(find('sip:a@h')).to.equal(undefined);
    clock.advance(3_569_999);
    expect(find('sip:b@h')).to.equal('f');
    clock.advance(1);
    expect(find('sip:b@h')).to.equal(undefined);
  });

  it('user and host decide, not the port; without a user the port does', () => {
    const { flow, register, find } = setup();
    register('<sip:ue@h:5070>', flow('f'));
    register('<sip:h:5070>', flow('g'));
    expect(find('sip:ue@h:9;transport=tcp')).to.equal('f');
    expect(find('sip:other@h:5070')).to.equal(undefined);
    expect(find('sip:h:5070')).to.equal('g');
    expect(find('sip:h:5071')).to.equal(undefined);
  });

  it('a newer connection takes the place of an older one; the end of the older one changes nothing', () => {
    const { flow, cache, register, find } = setup();
    const old = flow('old');
    register('<sip:ue@h>', old);
    register('<sip:ue@h>', flow('new'));
    cache.forget(old);
    expect(find('sip:ue@h')).to.equal('new');
  });

  it('goes with Expires 0, with a registration over UDP, and with its connection', () => {
    const { open, flow, cache, register, find } = setup();
    for (const end of [
      (over: Flow) => register('<sip:ue@h>;expires=0', over),
      () => register('<sip:ue@h>', flow('u', 'udp')),
      (over: Flow) => cache.forget(over),
      (over: Flow) => open.delete(over.id),
    ]) {
      const over = flow('f');
      register('<sip:ue@h>', over);
      expect(find('sip:ue@h')).to.equal('f');
      end(over);
      expect(find('sip:ue@h')).to.equal(undefined);
      expect(cache.size).to.equal(0);
    }
  });
});
