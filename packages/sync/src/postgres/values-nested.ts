import { jsonString } from '../json-string.ts';
import type { ValueCodec } from '../table.ts';
import { postgresLimits } from './limits.ts';
import { notOf } from './values-scalar.ts';

// Arrays and composites, as in "Array Input and Output Syntax" and "Composite Type Input and Output Syntax" of PostgreSQL's documentation.

/** Arrays of what `element` tells. Those whose lower bounds are not 1 begin with the bounds; they are told as the string that they are. */
export function arrayCodec(element: ValueCodec, delimiter: string): ValueCodec {
  const json = (text: string) => {
    if (text.startsWith('[')) return jsonString(text);
    const reader = new LiteralReader('array', text);
    const found = readArray(reader, element, delimiter, 1);
    reader.finish();
    return found;
  };
  return { kind: 'array', json, sqlite: json };
}

function readArray(reader: LiteralReader, element: ValueCodec, delimiter: string, depth: number): string {
  if (depth > postgresLimits.dimensionsMax) throw reader.error();
  reader.expect('{');
  if (reader.skip('}')) return '[]';
  let json = '[';
  do {
    if (json !== '[') json += ',';
    json += reader.isAt('{')
      ? readArray(reader, element, delimiter, depth + 1)
      : readElement(reader, element, delimiter);
  } while (reader.skip(delimiter));
  reader.expect('}');
  return `${json}]`;
}

function readElement(reader: LiteralReader, element: ValueCodec, delimiter: string): string {
  if (reader.isAt('"')) return element.json(reader.quoted());
  const text = reader.until(delimiter, '}');
  if (text === '') throw reader.error();
  return text === 'NULL' ? 'null' : element.json(text);
}

export type CompositeAttribute = { readonly name: string; readonly codec: ValueCodec };

/**
 * Composites as objects by attribute. One with another number of fields was written before or after its type was altered: nobody knows which field is which, and it is told
 * as the string that it is (Y5).
 */
export function compositeCodec(attributes: readonly CompositeAttribute[]): ValueCodec {
  const heads = attributes.map(({ name }, place) => `${place === 0 ? '' : ','}${jsonString(name)}:`);
  const json = (text: string) => {
    const fields = readComposite(text, attributes.length);
    if (fields.length !== attributes.length) return jsonString(text);
    let object = '{';
    for (const [place, field] of fields.entries()) {
      object += heads[place] + (field === null ? 'null' : (attributes[place] as CompositeAttribute).codec.json(field));
    }
    return `${object}}`;
  };
  return { kind: 'composite', json, sqlite: json };
}

/** `()` is a composite of nothing, or of one NULL. */
function readComposite(text: string, expected: number): (string | null)[] {
  const reader = new LiteralReader('composite', text);
  const fields: (string | null)[] = [];
  reader.expect('(');
  if (expected > 0 || !reader.isAt(')')) {
    do fields.push(readCompositeField(reader));
    while (reader.skip(','));
  }
  reader.expect(')');
  reader.finish();
  return fields;
}

/** Nothing at all is NULL; an empty text is quoted. */
function readCompositeField(reader: LiteralReader): string | null {
  if (reader.isAt('"')) return reader.quoted();
  const text = reader.until(',', ')');
  return text === '' ? null : text;
}

/** A walk over a literal. Throws PROTOCOL where it is none. */
class LiteralReader {
  readonly #type: string;
  readonly #text: string;
  #at = 0;

  constructor(type: string, text: string) {
    this.#type = type;
    this.#text = text;
  }

  isAt(character: string): boolean {
    return this.#text[this.#at] === character;
  }

  skip(character: string): boolean {
    const isHere = this.isAt(character);
    if (isHere) this.#at++;
    return isHere;
  }

  expect(character: string): void {
    if (!this.skip(character)) throw this.error();
  }

  finish(): void {
    if (this.#at !== this.#text.length) throw this.error();
  }

  /** What stands before either of the two. */
  until(one: string, other: string): string {
    const start = this.#at;
    while (this.#at < this.#text.length && !this.isAt(one) && !this.isAt(other)) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  /** Between quotes a backslash stands before what is meant as it is; of two quotes, one is meant. */
  quoted(): string {
    const text = this.#text;
    let found = '';
    let start = ++this.#at;
    for (; this.#at < text.length; this.#at++) {
      const code = text.charCodeAt(this.#at);
      if (code === 0x22) {
        const isDoubled = text.charCodeAt(this.#at + 1) === 0x22;
        if (!isDoubled) return found + text.slice(start, this.#at++);
      }
      if (code === 0x22 || code === 0x5c) {
        found += text.slice(start, this.#at);
        start = ++this.#at;
      }
    }
    throw this.error();
  }

  error(): Error {
    return notOf(this.#type, this.#text);
  }
}
