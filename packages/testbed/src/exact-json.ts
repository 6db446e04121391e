// JSON read without rounding, and told such that equal values are equal texts: a comparison must see the last digit of a number.

/** A value of JSON whose numbers are texts: `{ number: '15e-1' }`. */
export type ExactJson =
  | null
  | boolean
  | string
  | { readonly number: string }
  | readonly ExactJson[]
  | ReadonlyMap<string, ExactJson>;

/** Reads JSON. Of members of one name the last counts, as with JSON.parse(). Throws SyntaxError. */
export function parseExactJson(text: string): ExactJson {
  return JSON.parse(text, (_name, value: unknown, context?: { readonly source?: string }): unknown => {
    if (typeof value === 'number') return exactNumber(context?.source ?? String(value));
    if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof ExactNumber)
      return value;
    return new Map(Object.entries(value));
  }) as ExactJson;
}

class ExactNumber {
  readonly number: string;
  constructor(number: string) {
    this.number = number;
  }
}

/** `1.50` is `15e-1`, and so is `150e-2`. Zero has no sign. */
export function exactNumber(text: string): ExactJson {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(text) ?? [];
  if (whole === '') throw new SyntaxError(`${JSON.stringify(text)} is no number`);
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return new ExactNumber('0');
  const power = Number(exponent) - fraction.length + (digits.length - significant.length);
  return new ExactNumber(`${sign}${significant}e${power}`);
}

/** One text for equal values: members in the order of their names. */
export function canonicalText(value: ExactJson): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (value instanceof ExactNumber) return value.number;
  if (Array.isArray(value)) return `[${value.map((each: ExactJson) => canonicalText(each)).join(',')}]`;
  const members = [...(value as ReadonlyMap<string, ExactJson>)].sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`).join(',')}}`;
}
