/** What step 3b reads of the `Cek` elements of a KmsResponse and of a push (docs/interfaces.md). */
import { expect } from 'chai';
import { elements } from './xml.ts';

export interface CekElement {
  readonly keyId: string;
  readonly userUri: string;
  readonly clientId: string;
  readonly sipSession: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly state: string;
  /** The key before, and until when it opens. */
  readonly supersedes?: { readonly keyId: string; readonly notAfter: number };
  readonly iMessage: Uint8Array;
}

const CHILDREN = [
  'KeyId',
  'UserUri',
  'ClientId',
  'SipSession',
  'NotBefore',
  'NotAfter',
  'State',
  'Supersedes',
  'IMessage',
];

/** Every `Cek` element in the text. Asserts that none holds anything but what the interface names: a key in clear, for instance. */
export function cekElements(xml: string): CekElement[] {
  return [...xml.matchAll(/<(?:\w+:)?Cek[\s>][\s\S]*?<\/(?:\w+:)?Cek>/g)].map(([element]) => {
    const names = [...element.matchAll(/<(?:\w+:)?(\w+)/g)].map((m) => m[1]!).slice(1);
    expect(CHILDREN, 'elements that a Cek may have').to.include.members(names);
    const text = (name: string): string => elements(element, name)[0] ?? '';
    return {
      keyId: text('KeyId').toLowerCase(),
      userUri: text('UserUri'),
      clientId: text('ClientId'),
      sipSession: text('SipSession'),
      notBefore: Date.parse(text('NotBefore')),
      notAfter: Date.parse(text('NotAfter')),
      state: text('State'),
      ...superseded(element),
      iMessage: Buffer.from(text('IMessage'), 'base64'),
    };
  });
}

function superseded(element: string): Pick<CekElement, 'supersedes'> {
  const [, notAfter, keyId] =
    /<(?:\w+:)?Supersedes\s[^>]*\bNotAfter\s*=\s*["']([^"']*)["'][^>]*>([^<]*)</.exec(element) ?? [];
  if (notAfter === undefined || keyId === undefined) return {};
  return { supersedes: { keyId: keyId.trim().toLowerCase(), notAfter: Date.parse(notAfter) } };
}
