import { expect } from 'chai';
import { generateModule } from '../../../../../actors/security/ibc/fast/generator/module.ts';
import { moduleOctets } from '../../../../../actors/security/ibc/fast/modules.ts';
import { PLAIN_SIMD, RELAXED_SIMD } from '../../../../../actors/security/ibc/fast/radix.ts';

describe('The committed WebAssembly modules', () => {
  for (const radix of [RELAXED_SIMD, PLAIN_SIMD]) {
    it(`${radix.name} is what its generator makes (else run generator/build.ts)`, () => {
      const made = Buffer.from(generateModule(radix));
      expect(made.equals(moduleOctets(radix))).to.equal(true);
    });
  }
});
