import type pg from 'pg';
import type { Column, Table } from '../table.ts';
import { isEmptySql, keySql, placesOf, type RelationDescription } from './catalog.ts';
import { runQuery, type TextRows } from './connect.ts';
import type { RelationMessage } from './pgoutput-messages.ts';
import { type RowTrace, rowTraceSql } from './row-trace.ts';
import { readCodecs } from './type-catalog.ts';

/** `isKeyedNow`: in the catalog, which may be ahead. */
export type StreamedDescription = RelationDescription & { readonly isKeyedNow: boolean };

/**
 * A table as a Relation message has it, which may be older than the catalog: names and types are the message's, and the catalog adds what it still knows.
 * `before` is the shape that was known last.
 */
export async function describeRelation(
  client: pg.Client,
  message: RelationMessage,
  before: Table | undefined,
  node: string,
): Promise<StreamedDescription> {
  const [typesFound, relation] = [
    await namesOfTypes(client, message, node),
    await readRelation(client, message.relation, node),
  ];
  const codecs = await readCodecs(
    client,
    message.columns.map(({ typeOid }) => typeOid),
    node,
  );
  const columns = message.columns.map(({ name, typeOid }, place) => ({
    name,
    type: typesFound.rows[place]?.[0] ?? 'text',
    isNullable: relation?.nullable.includes(name) ?? true,
    codec: codecs(typeOid),
    // The catalog may not have it any more.
    ...numberOf(relation?.numbers[name] ?? before?.columns.find((column) => column.name === name)?.number),
  }));
  const table = {
    schema: message.schema,
    name: message.name,
    id: String(message.relation),
    columns,
    key: keyOfRelation(message, columns, relation, before),
    hasWholeOldRows: message.identity === 'full',
  };
  return {
    table,
    emptyColumns: new Set(relation?.empty),
    trace: relation?.trace,
    isKeyedNow: (relation?.key.length ?? 0) > 0,
  };
}

function numberOf(number: number | undefined): { readonly number?: number } {
  return number === undefined ? {} : { number };
}

async function namesOfTypes(client: pg.Client, message: RelationMessage, node: string): Promise<TextRows> {
  const oids = message.columns.map(({ typeOid }) => String(typeOid));
  const modifiers = message.columns.map(({ typeModifier }) => String(typeModifier));
  const sql = `SELECT CASE WHEN EXISTS (SELECT FROM pg_type WHERE oid = wanted.oid) THEN format_type(wanted.oid, wanted.modifier) END
    FROM unnest($1::oid[], $2::int4[]) WITH ORDINALITY AS wanted (oid, modifier, place) ORDER BY wanted.place`;
  return await runQuery(client, sql, [oids, modifiers], node);
}

async function readRelation(client: pg.Client, oid: number, node: string): Promise<CatalogRelation | undefined> {
  const columns = (condition: string, what = 'json_agg(attname)'): string => `(
    SELECT ${what} FROM pg_attribute AS attribute
    WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped AND ${condition})`;
  const sql = `SELECT json_build_object(
      'key', coalesce(${keySql}, '[]'), 'nullable', coalesce(${columns('NOT attribute.attnotnull')}, '[]'), 'empty', coalesce(${columns(isEmptySql)}, '[]'),
      'numbers', coalesce(${columns('true', 'json_object_agg(attname, attnum)')}, '{}'), 'types', coalesce(${columns('true', 'json_object_agg(attname, atttypid::int8)')}, '{}'), 'trace', ${rowTraceSql})
    FROM pg_class AS relation WHERE relation.oid = $1`;
  const [[text] = []] = (await runQuery(client, sql, [String(oid)], node)).rows;
  return text === undefined ? undefined : (JSON.parse(text ?? '') as CatalogRelation);
}

type CatalogRelation = {
  readonly [name in 'key' | 'nullable' | 'empty']: readonly string[];
} & { readonly [name in 'numbers' | 'types']: Readonly<Record<string, number>> } & { readonly trace: RowTrace };

/** The message says which columns are in the key; only the catalog knows their order. */
function keyOfRelation(
  message: RelationMessage,
  columns: readonly Column[],
  relation: CatalogRelation | undefined,
  before: Table | undefined,
): readonly number[] {
  const { identity, columns: described } = message;
  const ordered = relation === undefined ? [] : catalogKey(message, relation);
  // Of a table whose old rows come whole, every column is in the message's key.
  const flagged = identity === 'full' ? [] : described.flatMap(({ isKey }, place) => (isKey ? [place] : []));
  if (flagged.length > 0) {
    const isSame = ordered.length === flagged.length && ordered.every((place) => flagged.includes(place));
    return isSame ? ordered : flagged;
  }
  // What tells rows apart now told them apart then: the table may have got its key later, and rows that were there before were only inserted.
  if (ordered.length > 0) return ordered;
  return placesOf(before?.key.map((place) => before.columns[place]?.name ?? '') ?? [], columns);
}

/** The key that the catalog has now, in the message's columns, of which one may have got another name since. */
function catalogKey({ columns }: RelationMessage, { key, numbers, types }: CatalogRelation): readonly number[] {
  const places = key.map((name) => {
    const place = columns.findIndex((column) => column.name === name);
    if (place >= 0) return place;
    return columns.findIndex((column) => numbers[column.name] === undefined && column.typeOid === types[name]);
  });
  return places.includes(-1) || new Set(places).size < places.length ? [] : places;
}
