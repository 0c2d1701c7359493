import { type Address, parseAddress } from './address.ts';
import { SipParseError } from './errors.ts';
import { isList, spell } from './names.ts';
import { elementEnd, trimSpace, unfold } from './scan.ts';
import { parseVia, type Via } from './via.ts';

/**
 * One header line exactly as it stands in the message, without its final CRLF; a folded line keeps its inner CRLFs.
 * Lines never change, so copies of a message share them, and what was read from one is kept with it.
 */
export class HeaderLine {
  /** Canonical name, see names.ts. */
  readonly name: string;
  /** The line as written, one octet per character. */
  readonly raw: string;
  readonly #valueAt: number;
  #value: string | undefined;
  #top: string | undefined;
  #via: Via | undefined;
  #address: Address | undefined;

  constructor(name: string, raw: string, valueAt: number) {
    this.name = name;
    this.raw = raw;
    this.#valueAt = valueAt;
  }

  /** A line of the engine's own making. */
  static of(name: string, value: string): HeaderLine {
    const written = spell(name);
    return new HeaderLine(name, `${written}: ${value}`, written.length + 1);
  }

  /** Same header with another value; the name stays as it was written. */
  withValue(value: string): HeaderLine {
    return new HeaderLine(this.name, `${this.raw.slice(0, this.#valueAt)} ${value}`, this.#valueAt);
  }

  /**
   * The line with another first element, or without it; the elements joined to it stay as they are written. Undefined if
   * nothing is left.
   */
  withTop(value: string | undefined): HeaderLine | undefined {
    const written = this.raw.slice(this.#valueAt);
    const rest = isList(this.name) ? written.slice(elementEnd(written, 0) + 1) : '';
    if (trimSpace(rest) === '') return value === undefined ? undefined : this.withValue(value);
    return this.withValue(value === undefined ? trimSpace(rest) : `${value},${rest}`);
  }

  /** The value, unfolded and trimmed (RFC 3261 7.3.1). */
  get value(): string {
    this.#value ??= unfold(trimSpace(this.raw.slice(this.#valueAt)));
    return this.#value;
  }

  /** The first element, where the header's grammar is a list; else the value. */
  get top(): string {
    this.#top ??= isList(this.name) ? trimSpace(this.value.slice(0, elementEnd(this.value, 0))) : this.value;
    return this.#top;
  }

  /** The first element as a Via value. Throws {@link SipParseError} `header-value` if it is none. */
  get via(): Via {
    this.#via ??= parseVia(this.top);
    if (this.#via === undefined) throw this.#malformed();
    return this.#via;
  }

  /** The first element as an address. Throws {@link SipParseError} `header-value` if it is none. */
  get address(): Address {
    this.#address ??= parseAddress(this.top);
    if (this.#address === undefined) throw this.#malformed();
    return this.#address;
  }

  #malformed(): SipParseError {
    return new SipParseError('header-value', `malformed ${spell(this.name)} header`);
  }
}
