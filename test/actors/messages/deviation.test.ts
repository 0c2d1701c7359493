import { expect } from 'chai';
import {
  DeviationError,
  deviateFields,
  deviateHeaders,
  deviateOctets,
  deviationValue,
  parseDeviations,
} from '../../../actors/messages/deviation.ts';

describe('deviations from default messages', () => {
  it('checks what a scenario hands over', () => {
    expect(parseDeviations(undefined)).to.deep.equal([]);
    expect(parseDeviations([{ at: 'cms', op: 'flip', path: 3 }])).to.deep.equal([{ at: 'cms', op: 'flip', path: '3' }]);
    for (const wrong of [
      {},
      [{ at: 'nowhere', op: 'set', path: 'x' }],
      [{ at: 'sip', op: 'eat', path: 'x' }],
      [null],
      [{ at: 'sip', op: 'set' }],
    ]) {
      expect(() => parseDeviations(wrong)).to.throw(DeviationError);
    }
  });

  it('sets and removes fields at its own place only', () => {
    const list = parseDeviations([
      { at: 'mcptt-info', op: 'remove', path: 'a' },
      { at: 'mcptt-info', op: 'set', path: 'b', value: '2' },
      { at: 'poc-settings', op: 'set', path: 'c', value: '3' },
    ]);
    expect(deviateFields(list, 'mcptt-info', { a: '1', c: '1' })).to.deep.equal({ b: '2', c: '1' });
  });

  it('sets and removes header fields without regard to case', () => {
    const list = parseDeviations([
      { at: 'sip', op: 'set', path: 'event', value: 'presence' },
      { at: 'sip', op: 'remove', path: 'expires' },
      { at: 'sip', op: 'set', path: 'request-uri', value: 'sip:x' },
    ]);
    expect(
      deviateHeaders(list, [
        ['Event', 'poc-settings'],
        ['Expires', '1'],
      ]),
    ).to.deep.equal([['event', 'presence']]);
    expect(deviationValue(list, 'sip', 'request-uri')).to.equal('sip:x');
  });

  it('flips, sets, cuts and replaces octets, and leaves the default untouched', () => {
    const octets = Uint8Array.of(0, 1, 2, 3);
    const change = (...list: object[]): number[] => [...deviateOctets(parseDeviations(list), 'cms', octets)];
    expect(change({ at: 'cms', op: 'flip', path: -1 })).to.deep.equal([0, 1, 2, 2]);
    expect(change({ at: 'cms', op: 'set', path: 0, value: 255 })).to.deep.equal([255, 1, 2, 3]);
    expect(change({ at: 'cms', op: 'remove', path: 2 })).to.deep.equal([0, 1]);
    expect(change({ at: 'cms', op: 'replace', path: '', value: 'AQI=' })).to.deep.equal([1, 2]);
    expect([...octets]).to.deep.equal([0, 1, 2, 3]);
    expect(() => change({ at: 'cms', op: 'flip', path: 9 })).to.throw(DeviationError);
  });
});
