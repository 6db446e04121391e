import { BatonError } from '@batondb/core/errors';
import { wireLimits } from './limits.ts';

/** The fields of one JSON message, each checked when it is read. Errors name the message and the field. */
export class MessageReader {
  readonly type: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  private constructor(type: string, fields: Readonly<Record<string, unknown>>) {
    this.type = type;
    this.#fields = fields;
  }

  /** Throws PROTOCOL unless the bytes are UTF-8 and a JSON object with a type. */
  static parse(bytes: Uint8Array): MessageReader {
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (error) {
      throw new BatonError('PROTOCOL', `a message of ${bytes.byteLength} bytes is no JSON`, { cause: error });
    }
    const fields = isRecord(value) ? value : {};
    const { type } = fields;
    if (typeof type !== 'string' || !/^[a-z-]{1,32}$/.test(type)) {
      throw new BatonError('PROTOCOL', 'a message has no type, or one that is no word');
    }
    return new MessageReader(type, fields);
  }

  /** An integer from 0 to `max`. */
  integer(field: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#fields[field];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw this.#wrong(field, 'a whole number');
    if (value > max) throw new BatonError('LIMIT', `${this.type}: ${field} is ${value}, but the limit is ${max}`);
    return value;
  }

  optionalInteger(field: string, max?: number): number | undefined {
    return this.#fields[field] === undefined ? undefined : this.integer(field, max);
  }

  boolean(field: string): boolean {
    const value = this.#fields[field];
    if (typeof value !== 'boolean') throw this.#wrong(field, 'true or false');
    return value;
  }

  text(field: string): string {
    const value = this.#fields[field];
    if (typeof value !== 'string') throw this.#wrong(field, 'a text');
    return this.#bounded(field, value);
  }

  optionalText(field: string): string | undefined {
    return this.#fields[field] === undefined ? undefined : this.text(field);
  }

  oneOf<T extends string>(field: string, known: readonly T[]): T {
    const value = this.text(field);
    const found = known.find((one) => one === value);
    if (found !== undefined) return found;
    throw new BatonError(
      'VERSION_MISMATCH',
      `${this.type}: ${field} is ${value.slice(0, 64)}, and this release knows ${known.join(', ')}`,
      {
        hint: 'install the same version of baton on every node',
      },
    );
  }

  /** Bytes in hexadecimal digits. */
  hex(field: string, bytes: number): Uint8Array {
    const value = this.#fields[field];
    if (typeof value !== 'string' || value.length !== bytes * 2 || !/^[0-9a-f]*$/.test(value)) {
      throw this.#wrong(field, `${bytes * 2} hexadecimal digits`);
    }
    return new Uint8Array(Buffer.from(value, 'hex'));
  }

  /** Hexadecimal digits as they are, if there are any. */
  optionalHex(field: string, bytes: number): string | undefined {
    return this.#fields[field] === undefined ? undefined : Buffer.from(this.hex(field, bytes)).toString('hex');
  }

  /** Two integers, the first not above the second. */
  range(field: string): [number, number] {
    const value = this.#fields[field];
    const [min, max] = Array.isArray(value) ? (value as unknown[]) : [];
    if (isVersion(min) && isVersion(max) && min <= max) return [min, max];
    throw this.#wrong(field, 'two versions');
  }

  /** Words by name. */
  about(field: string): Readonly<Record<string, string>> {
    const value = this.#fields[field];
    if (!isRecord(value)) throw this.#wrong(field, 'words by name');
    const entries = Object.entries(value);
    if (entries.length > wireLimits.aboutEntriesMax) {
      throw new BatonError(
        'LIMIT',
        `${this.type}: ${field} has ${entries.length} words, but the limit is ${wireLimits.aboutEntriesMax}`,
      );
    }
    for (const [name, word] of entries) {
      if (typeof word !== 'string') throw this.#wrong(`${field}.${name.slice(0, 64)}`, 'a text');
      this.#bounded(`${field}.${name.slice(0, 64)}`, word);
    }
    return Object.fromEntries(entries) as Record<string, string>;
  }

  /** A message that this release does not know, if it may be passed over. */
  unknown(): { readonly type: 'unknown'; readonly name: string } {
    if (this.#fields['mayIgnore'] === true) return { type: 'unknown', name: this.type };
    throw new BatonError(
      'VERSION_MISMATCH',
      `the peer says ${this.type}, which this release does not know and may not pass over`,
      {
        hint: 'install the same version of baton on every node',
      },
    );
  }

  #bounded(field: string, value: string): string {
    if (value.length <= wireLimits.textCharactersMax) return value;
    throw new BatonError(
      'LIMIT',
      `${this.type}: ${field} has ${value.length} characters, but the limit is ${wireLimits.textCharactersMax}`,
    );
  }

  #wrong(field: string, wanted: string): BatonError {
    return new BatonError('PROTOCOL', `${this.type}: ${field} is not ${wanted}`);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= 65_535;
}
