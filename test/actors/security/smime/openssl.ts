/** OpenSSL as an independent CMS implementation. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Skips the suite, saying why, where openssl is missing; on CI that is a failure. */
export function needOpenssl(context: Mocha.Context): void {
  try {
    execFileSync('openssl', ['version']);
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    console.log('      skipped: openssl is not installed');
    context.skip();
  }
}

export interface CmsResult {
  /** Exit code; 0 = done. */
  readonly code: number;
  readonly output: Uint8Array;
}

/** Runs `openssl cms` on `input`; what it writes with -out is the output. */
export async function cms(args: readonly string[], input: Uint8Array): Promise<CmsResult> {
  const folder = await mkdtemp(join(tmpdir(), 'smime-'));
  try {
    await writeFile(join(folder, 'in'), input);
    const code = await new Promise<number>((resolve, reject) => {
      execFile('openssl', ['cms', ...args, '-in', 'in', '-out', 'out'], { cwd: folder, timeout: 10_000 }, (error) => {
        if (error === null) resolve(0);
        else if (typeof error.code === 'number') resolve(error.code);
        else reject(error);
      });
    });
    return { code, output: new Uint8Array(await readFile(join(folder, 'out')).catch(() => Buffer.alloc(0))) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** `openssl cms -encrypt` for a receiver who holds the CEK. */
export const cmsEncrypt = (
  entity: Uint8Array,
  key: { readonly cek: Uint8Array; readonly keyId: Uint8Array },
  ...options: string[]
): Promise<CmsResult> => cms(['-encrypt', '-binary', '-outform', 'DER', ...keyOptions(key), ...options], entity);

/** `openssl cms -decrypt` with a CEK and its Key ID. */
export const cmsDecrypt = (
  der: Uint8Array,
  key: { readonly cek: Uint8Array; readonly keyId: Uint8Array },
): Promise<CmsResult> => cms(['-decrypt', '-binary', '-inform', 'DER', ...keyOptions(key)], der);

const keyOptions = (key: { readonly cek: Uint8Array; readonly keyId: Uint8Array }): string[] => [
  '-secretkey',
  Buffer.from(key.cek).toString('hex'),
  '-secretkeyid',
  Buffer.from(key.keyId).toString('hex'),
];
