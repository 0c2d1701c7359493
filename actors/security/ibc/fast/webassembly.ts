/**
 * The part of the WebAssembly JavaScript interface used here. TypeScript declares it in its library for browsers only,
 * and the types of Node 20 leave it out.
 */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  /** Grows by pages of 64 KiB; the old buffer is detached. */
  grow(pages: number): number;
}

/** A compiled module. */
export type WasmModule = object;

interface Interface {
  validate(octets: Uint8Array): boolean;
  readonly Module: new (octets: Uint8Array) => WasmModule;
  readonly Instance: new (module: WasmModule) => { readonly exports: object };
}

/** Node's; where it runs without (`--jitless`), one that takes no module, so that the portable backend steps in. */
export const WebAssembly =
  (globalThis as unknown as { readonly WebAssembly?: Interface }).WebAssembly ??
  ({ validate: () => false } as unknown as Interface);
