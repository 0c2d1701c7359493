import { writeFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { PLAIN_SIMD, type Radix, RELAXED_SIMD } from '../radix.ts';
import { generateModule } from './module.ts';

/** Writes the committed module of each representation: `npx tsx actors/security/ibc/fast/generator/build.ts`. */
const FILES: readonly [Radix, string][] = [
  [RELAXED_SIMD, '../wasm-relaxed-simd.ts'],
  [PLAIN_SIMD, '../wasm-simd.ts'],
];

for (const [radix, file] of FILES) {
  const module = generateModule(radix);
  const text =
    deflateRawSync(module, { level: 9 })
      .toString('base64')
      .match(/.{1,110}/g) ?? [];
  const source = [
    '/** Made by generator/build.ts, not by hand: the WebAssembly module, deflated (RFC 1951), in base64. */',
    'export const MODULE =',
    text.map((line) => `  '${line}'`).join(' +\n'),
  ].join('\n');
  writeFileSync(new URL(file, import.meta.url), `${source};\n`);
  process.stdout.write(`${radix.name}: ${module.length} octets, ${text.join('').length} in base64\n`);
}
