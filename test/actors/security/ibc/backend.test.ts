import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { vector } from './vectors.ts';

const appendix = vector('RFC6508 Appendix A');
const backend = new URL('../../../../actors/security/ibc/backend.ts', import.meta.url).href;
const engine = new URL('../../../../actors/security/ibc/engine.ts', import.meta.url).href;

/** Seals and opens RFC 6508's example in a Node that was started with these options: the backend's name, SED and SSV. */
function inNode(options: readonly string[], preamble = ''): string[] {
  const source = `
    ${preamble}
    const { createArithmetic } = await import('${backend}');
    const { LocalSakkeEngine } = await import('${engine}');
    const octets = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));
    const [ZT, b, rsk, ssv] = ${JSON.stringify(['Z_T', 'b', 'K_bT', 'SSV'].map((name) => appendix.text(name)))}.map(octets);
    const arithmetic = createArithmetic();
    const engine = new LocalSakkeEngine(arithmetic);
    const sed = await engine.encapsulate(ZT, b, ssv);
    const opened = await engine.decapsulate(ZT, b, rsk, sed);
    console.log([arithmetic.name, ...[sed, opened.ssv].map((each) => Buffer.from(each).toString('hex'))].join(' '));`;
  const args = [...options, '--import', 'tsx', '--input-type=module', '--eval', source];
  const env = { ...process.env, NODE_OPTIONS: '' };
  return execFileSync(process.execPath, args, { encoding: 'utf8', env, stdio: 'pipe', timeout: 60_000 })
    .trim()
    .split(' ');
}

const right = [appendix.text('SED'), appendix.text('SSV')];

describe('SAKKE backend by feature detection', () => {
  it('without WebAssembly it is the portable one', () => {
    expect(inNode(['--jitless'])).to.deep.equal(['bigint', ...right]);
  }).timeout(70_000);

  it('without SIMD in WebAssembly it is the portable one', () => {
    const none = 'globalThis.WebAssembly.validate = () => false;';
    expect(inNode([], none)).to.deep.equal(['bigint', ...right]);
  }).timeout(70_000);

  it('where multiply-add is rounded twice it is the one of plain SIMD', function () {
    if (process.arch !== 'x64') this.skip(); // only there can V8 be told to do without the instruction
    expect(inNode(['--no-enable-fma3'])).to.deep.equal(['wasm-simd', ...right]);
  }).timeout(70_000);
});
