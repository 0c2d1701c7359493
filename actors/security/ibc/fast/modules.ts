import { setFlagsFromString } from 'node:v8';
import { inflateRawSync } from 'node:zlib';
import { PLAIN_SIMD, type Radix, RELAXED_SIMD } from './radix.ts';
import { MODULE as RELAXED_MODULE } from './wasm-relaxed-simd.ts';
import { MODULE as PLAIN_MODULE } from './wasm-simd.ts';
import { type WasmModule, WebAssembly } from './webassembly.ts';

/** A module that this machine runs exactly, compiled. */
export interface CompiledModule {
  readonly module: WasmModule;
  readonly radix: Radix;
}

/** The committed bytes of a module. */
export function moduleOctets(radix: Radix): Uint8Array<ArrayBuffer> {
  return new Uint8Array(inflateRawSync(Buffer.from(radix.fma ? RELAXED_MODULE : PLAIN_MODULE, 'base64')));
}

let compiled: readonly CompiledModule[] | undefined;

/** The modules that run here, the faster first; compiled once in a thread, at first use. */
export function compiledModules(): readonly CompiledModule[] {
  compiled ??= [RELAXED_SIMD, PLAIN_SIMD].flatMap((radix) => {
    const octets = moduleOctets(radix);
    if (!runs(octets, radix)) return [];
    const module = new WebAssembly.Module(octets);
    return radix.fma && !fuses(module) ? [] : [{ module, radix }];
  });
  return compiled;
}

/** Node 20 has relaxed SIMD behind a flag of V8; from Node 22 on it is there as it is. */
function runs(octets: Uint8Array<ArrayBuffer>, radix: Radix): boolean {
  if (WebAssembly.validate(octets)) return true;
  if (!radix.fma || !process.version.startsWith('v20.')) return false;
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  return WebAssembly.validate(octets);
}

/**
 * Relaxed multiply-add may round once or twice, as the processor likes; only once is of use here. x^2 for x = 1 + 2^-30 is
 * 1 + 2^-29 + 2^-60: rounded to a double the last term is lost, and x x - (1 + 2^-29) is 0 unless it was rounded once.
 */
function fuses(module: WasmModule): boolean {
  const probe = new WebAssembly.Instance(module).exports as {
    multiplyAdd(a: number, b: number, c: number): number;
  };
  const x = 1 + 2 ** -30;
  return probe.multiplyAdd(x, x, -(1 + 2 ** -29)) === 2 ** -60;
}
