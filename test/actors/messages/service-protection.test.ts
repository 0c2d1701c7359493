/** POL-1 (pCR 7.x): protection required or not, per service. */
import { expect } from 'chai';
import {
  goesInClear,
  mustBeProtected,
  needsCek,
  readServices,
  SERVICES,
  type ServiceProtection,
} from '../../../actors/messages/service-protection.ts';

describe('POL-1: which services are protected', () => {
  const of = (protection: ServiceProtection) => ({
    cek: needsCek(protection),
    protected: SERVICES.filter((service) => mustBeProtected(protection, service)),
    clear: SERVICES.filter((service) => goesInClear(protection, service)),
  });

  it('all or none where no service is named', () => {
    expect(of({ required: true })).to.deep.equal({ cek: true, protected: [...SERVICES], clear: [] });
    expect(of({ required: false, services: {} })).to.deep.equal({ cek: false, protected: [], clear: [] });
  });

  it('a named one as it says; with one that is protected there is a CEK, with none there is not', () => {
    expect(of({ required: true, services: { messaging: false } })).to.deep.equal({
      cek: true,
      protected: ['authorisation', 'private-call'],
      clear: ['messaging'],
    });
    expect(of({ required: false, services: { 'private-call': true } })).to.deep.equal({
      cek: true,
      protected: ['private-call'],
      clear: ['authorisation', 'messaging'],
    });
    const none = { authorisation: false, messaging: false, 'private-call': false };
    expect(of({ required: true, services: none })).to.deep.equal({ cek: false, protected: [], clear: [] });
  });

  it('takes services that there are, with true or false, and nothing else', () => {
    expect(readServices({ messaging: false })).to.deep.equal({ messaging: false });
    for (const wrong of [undefined, null, [], 'messaging', { message: false }, { messaging: 'off' }])
      expect(readServices(wrong), JSON.stringify(wrong)).to.equal(undefined);
  });
});
