import type pg from 'pg';
import type { ValueCodec } from '../table.ts';
import { runQuery } from './connect.ts';
import { describeType, type TypeAttribute, typesQuery } from './types.ts';
import { valueCodecs } from './values.ts';

/** Codecs of types by their oids, as the catalog describes them now. Values of a type that is gone since are told as text. */
export async function readCodecs(
  client: pg.Client,
  oids: readonly number[],
  node: string,
): Promise<(oid: number) => ValueCodec> {
  const { rows } = await runQuery(client, typesQuery, [[...new Set(oids)].map(String)], node);
  const descriptions = rows.map(([oid, schema, name, kind, element, delimiter, base, attributes]) =>
    describeType({
      oid: Number(oid),
      schema: schema ?? '',
      name: name ?? '',
      kind: kind ?? '',
      element: numberOf(element),
      delimiter: delimiter ?? ',',
      base: numberOf(base),
      attributes: attributes === null || attributes === undefined ? null : (JSON.parse(attributes) as TypeAttribute[]),
    }),
  );
  return valueCodecs(new Map(descriptions.map((description) => [description.oid, description])));
}

function numberOf(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}
