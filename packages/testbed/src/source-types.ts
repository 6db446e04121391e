// What the columns of a PostgreSQL are, and SQL that tells a value of any type as the JSON that a sink must have. It is written from the table of
// forms that users read, and shares nothing with what replicates: the server's own functions do the work.
import type { ExactJson } from './exact-json.ts';

/** A type as pg_type has it. */
export type SourceType = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'b' | 'c' | 'd' | 'e' | 'p' | 'r' | 'm';
  /** Of an array. */
  readonly element: number | null;
  /** Of a domain. */
  readonly base: number | null;
  /** Of a composite. */
  readonly attributes: readonly { readonly name: string; readonly type: number }[] | null;
};

/** How a value stands in JSON. */
export type Form =
  | 'boolean'
  | 'integer'
  | 'bigint'
  | 'float'
  | 'binary'
  | 'json'
  | 'timestamp'
  | 'timestamptz'
  | 'array'
  | 'composite'
  | 'text';

const forms: Readonly<Record<string, Form>> = {
  bool: 'boolean',
  int2: 'integer',
  int4: 'integer',
  oid: 'integer',
  int8: 'bigint',
  float4: 'float',
  float8: 'float',
  bytea: 'binary',
  json: 'json',
  jsonb: 'json',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
};

/** One JSON row of all types, for `readTypes`. */
export const typesSql = `
SELECT coalesce(json_agg(json_build_object(
  'oid', t.oid::int8, 'schema', n.nspname, 'name', t.typname, 'kind', t.typtype,
  'element', CASE WHEN t.typoutput = 'array_out'::regproc THEN t.typelem::int8 END,
  'base', CASE WHEN t.typtype = 'd' THEN t.typbasetype::int8 END,
  'attributes', CASE WHEN t.typtype = 'c' THEN (
    SELECT coalesce(json_agg(json_build_object('name', a.attname, 'type', a.atttypid::int8) ORDER BY a.attnum), '[]')
    FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) END
)), '[]') FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace`;

/** All types of a database. */
export class SourceTypes {
  readonly #types: ReadonlyMap<number, SourceType>;
  #aliases = 0;

  /** `json` is what `typesSql` returned. */
  constructor(json: string) {
    this.#types = new Map((JSON.parse(json) as SourceType[]).map((type) => [type.oid, type]));
  }

  formOf(oid: number): Form {
    const type = this.#type(oid);
    if (type.base !== null) return this.formOf(type.base);
    if (type.element !== null) return 'array';
    if (type.attributes !== null) return 'composite';
    return (type.schema === 'pg_catalog' ? forms[type.name] : undefined) ?? 'text';
  }

  /** SQL of type jsonb for the value of an expression. Arrays come flat, with their bounds and their text: see `read`. */
  tell(expression: string, oid: number): string {
    const type = this.#type(oid);
    if (type.base !== null) {
      const base = this.#type(type.base);
      return this.tell(`(${expression})::${quoteIdentifier(base.schema)}.${quoteIdentifier(base.name)}`, type.base);
    }
    // IS NULL is also true of a composite whose attributes are all NULL.
    return `CASE WHEN num_nonnulls(${expression}) = 0 THEN 'null'::jsonb ELSE ${this.#tellKnown(expression, type)} END`;
  }

  #tellKnown(value: string, type: SourceType): string {
    switch (this.formOf(type.oid)) {
      case 'boolean':
      case 'float':
        return `to_jsonb(${value})`;
      case 'integer':
        return `to_jsonb((${value})::int8)`;
      case 'json':
        return `(${value})::jsonb`;
      case 'binary':
        return `to_jsonb(replace(encode(${value}, 'base64'), E'\\n', ''))`;
      case 'timestamp':
        return `to_jsonb(CASE WHEN ${isUsual(value)} THEN replace((${value})::text, ' ', 'T') ELSE (${value})::text END)`;
      case 'timestamptz':
        return `to_jsonb(CASE WHEN ${isUsual(value)}
          THEN to_char((${value}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') ELSE (${value})::text END)`;
      case 'array':
        return this.#tellArray(value, type.element as number);
      case 'composite':
        return this.#tellComposite(value, type.attributes ?? []);
      case 'bigint':
      case 'text':
        // A cast to text would take away the blanks of char(n).
        return `to_jsonb(format('%s', ${value}))`;
    }
  }

  #tellArray(value: string, element: number): string {
    const alias = `a${++this.#aliases}`;
    return `jsonb_build_object(
      'bounds', coalesce((SELECT jsonb_agg(jsonb_build_array(array_lower(${value}, ${alias}), array_length(${value}, ${alias})) ORDER BY ${alias})
        FROM generate_series(1, array_ndims(${value})) ${alias}), '[]'),
      'elements', coalesce((SELECT jsonb_agg(${this.tell(`${alias}.e`, element)}) FROM (SELECT unnest(${value}) AS e) ${alias}), '[]'),
      'text', format('%s', ${value}))`;
  }

  #tellComposite(value: string, attributes: readonly { readonly name: string; readonly type: number }[]): string {
    const members = attributes.map(
      ({ name, type }) => `${quoteLiteral(name)}, ${this.tell(`(${value}).${quoteIdentifier(name)}`, type)}`,
    );
    return `jsonb_build_object(${members.join(', ')})`;
  }

  /** What the SQL of `tell` returned, as the JSON that a sink must have. */
  read(told: ExactJson, oid: number): ExactJson {
    const type = this.#type(oid);
    if (told === null) return null;
    if (type.base !== null) return this.read(told, type.base);
    if (type.element !== null) return this.#readArray(told as ReadonlyMap<string, ExactJson>, type.element);
    if (type.attributes === null) return told;
    const members = told as ReadonlyMap<string, ExactJson>;
    return new Map(type.attributes.map(({ name, type: oidOf }) => [name, this.read(members.get(name) ?? null, oidOf)]));
  }

  #readArray(told: ReadonlyMap<string, ExactJson>, element: number): ExactJson {
    const bounds = told.get('bounds') as readonly (readonly { readonly number: string }[])[];
    if (bounds.some(([lower]) => lower?.number !== '1e0')) {
      return bounds.length === 0 ? [] : (told.get('text') ?? null);
    }
    let nested = (told.get('elements') as readonly ExactJson[]).map((each) => this.read(each, element));
    for (const [, length] of bounds.slice(1).reverse()) {
      const size = Number(length?.number);
      nested = Array.from({ length: nested.length / size }, (_, place) =>
        nested.slice(place * size, (place + 1) * size),
      );
    }
    return nested;
  }

  #type(oid: number): SourceType {
    const type = this.#types.get(oid);
    if (type === undefined) throw new Error(`there is no type ${oid}`);
    return type;
  }
}

/** Neither infinite nor before Christ: those stand as they are printed. */
function isUsual(value: string): string {
  return `isfinite(${value}) AND extract(year FROM ${value}) > 0`;
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteLiteral(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
