// How a type is described: enough to tell its values' text in JSON.

/** A type as the catalog has it. */
export type TypeDescription = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `typtype`; arrays are base types with an element. */
  readonly kind: 'base' | 'composite' | 'domain' | 'enum' | 'pseudo' | 'range' | 'multirange';
  /** Of a true array (one whose text has braces): the type of its elements. */
  readonly element?: number;
  /** What divides elements of an array of this type: `,` for all but `box`. */
  readonly delimiter: string;
  /** Of a domain. */
  readonly base?: number;
  /** Of a composite: what it has now, in order. */
  readonly attributes?: readonly TypeAttribute[];
};

export type TypeAttribute = { readonly name: string; readonly type: number };

/** A row of {@link typesQuery}. */
export type TypeRecord = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly element: number | null;
  readonly delimiter: string;
  readonly base: number | null;
  readonly attributes: readonly TypeAttribute[] | null;
};

/**
 * Describes types and all that they are made of. One parameter: an array of oids. Oids that are of no type (any more) have no row.
 */
export const typesQuery = `
WITH RECURSIVE wanted (oid) AS (
  SELECT pg_catalog.unnest($1::pg_catalog.oid[])
  UNION
  SELECT part.oid
  FROM wanted
  JOIN pg_catalog.pg_type AS type ON type.oid = wanted.oid
  CROSS JOIN LATERAL (
    SELECT type.typbasetype WHERE type.typtype = 'd'
    UNION ALL
    SELECT type.typelem WHERE type.typtype = 'b' AND type.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc
    UNION ALL
    SELECT attribute.atttypid
    FROM pg_catalog.pg_attribute AS attribute
    WHERE type.typtype = 'c' AND attribute.attrelid = type.typrelid AND attribute.attnum > 0 AND NOT attribute.attisdropped
  ) AS part (oid)
)
SELECT
  type.oid::pg_catalog.int8::pg_catalog.float8 AS oid,
  namespace.nspname::pg_catalog.text AS schema,
  type.typname::pg_catalog.text AS name,
  type.typtype::pg_catalog.text AS kind,
  CASE WHEN type.typtype = 'b' AND type.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc THEN type.typelem::pg_catalog.int8::pg_catalog.float8 END AS element,
  type.typdelim::pg_catalog.text AS delimiter,
  CASE WHEN type.typtype = 'd' THEN type.typbasetype::pg_catalog.int8::pg_catalog.float8 END AS base,
  CASE WHEN type.typtype = 'c' THEN (
    SELECT coalesce(pg_catalog.json_agg(
      pg_catalog.json_build_object('name', attribute.attname, 'type', attribute.atttypid::pg_catalog.int8)
      ORDER BY attribute.attnum
    ), '[]')
    FROM pg_catalog.pg_attribute AS attribute
    WHERE attribute.attrelid = type.typrelid AND attribute.attnum > 0 AND NOT attribute.attisdropped
  ) END AS attributes
FROM wanted
JOIN pg_catalog.pg_type AS type ON type.oid = wanted.oid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = type.typnamespace
`;

const kinds: Readonly<Record<string, TypeDescription['kind']>> = {
  b: 'base',
  c: 'composite',
  d: 'domain',
  e: 'enum',
  p: 'pseudo',
  r: 'range',
  m: 'multirange',
};

/** What a row of {@link typesQuery} says. A kind that is not known is taken for a base type: its values are strings. */
export function describeType(record: TypeRecord): TypeDescription {
  const { oid, schema, name, element, delimiter, base, attributes } = record;
  return {
    oid,
    schema,
    name,
    kind: kinds[record.kind] ?? 'base',
    delimiter,
    ...(element === null ? {} : { element }),
    ...(base === null ? {} : { base }),
    ...(attributes === null ? {} : { attributes }),
  };
}
