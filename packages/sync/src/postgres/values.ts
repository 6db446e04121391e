import type { ValueCodec } from '../table.ts';
import { postgresLimits } from './limits.ts';
import type { TypeDescription } from './types.ts';
import { arrayCodec, compositeCodec } from './values-nested.ts';
import {
  bigintCodec,
  booleanCodec,
  byteaCodec,
  dateCodec,
  decimalCodec,
  floatCodec,
  integerCodec,
  jsonCodec,
  otherCodec,
  textCodec,
  timestampCodec,
  timestamptzCodec,
} from './values-scalar.ts';

/** Built-in types whose values are told otherwise than as they are printed, or have a kind of their own. Their oids never change. */
const builtIn: ReadonlyMap<number, ValueCodec> = new Map([
  [16, booleanCodec],
  [17, byteaCodec],
  // "char", name, text, xml, bpchar, varchar, uuid
  ...[18, 19, 25, 142, 1042, 1043, 2950].map((oid) => [oid, textCodec] as const),
  [20, bigintCodec],
  // int2, int4, oid
  ...[21, 23, 26].map((oid) => [oid, integerCodec] as const),
  // json, jsonb
  ...[114, 3802].map((oid) => [oid, jsonCodec] as const),
  // float4, float8
  ...[700, 701].map((oid) => [oid, floatCodec] as const),
  // money, numeric
  ...[790, 1700].map((oid) => [oid, decimalCodec] as const),
  [1082, dateCodec],
  [1114, timestampCodec],
  [1184, timestamptzCodec],
]);

/**
 * Codecs by the oid of a type. A type that is not described (it was dropped since, or nobody asked) is told as it is printed. Columns of one type share one codec.
 */
export function valueCodecs(types: ReadonlyMap<number, TypeDescription>): (oid: number) => ValueCodec {
  const known = new Map(builtIn);
  // Types cannot contain themselves; a description that says so would have no end.
  const codecOf = (oid: number, depth: number): ValueCodec => {
    const found = known.get(oid);
    if (found !== undefined) return found;
    const description = types.get(oid);
    if (description === undefined || depth > postgresLimits.nestingMax) return otherCodec;
    const codec = codecOfType(description, (part) => codecOf(part, depth + 1));
    known.set(oid, codec);
    return codec;
  };
  return (oid) => codecOf(oid, 0);
}

function codecOfType(type: TypeDescription, codecOf: (oid: number) => ValueCodec): ValueCodec {
  if (type.element !== undefined) return arrayCodec(codecOf(type.element), type.delimiter);
  if (type.base !== undefined) return codecOf(type.base);
  if (type.kind === 'enum') return textCodec;
  if (type.attributes !== undefined) {
    return compositeCodec(type.attributes.map(({ name, type: oid }) => ({ name, codec: codecOf(oid) })));
  }
  return otherCodec;
}
