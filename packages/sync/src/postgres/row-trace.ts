import type { KnownColumn } from '../table.ts';

// What the catalog shows of rows that became others without a word of the stream: a table that was rewritten, columns that are not those that had their names before, and types whose values have other
// names now.

export type RowTrace = {
  /** Of the files of its rows: another text when they were rewritten or emptied. */
  readonly files: string | null;
  /** Each column that there is, published or not, and the transaction that described it last. */
  readonly columns: readonly { readonly number: number; readonly describedBy: string }[];
  /** Labels of the enums, and attributes of the composites, that its values are made of, each by what stays when it gets another name. */
  readonly labels: Readonly<Record<string, string>>;
  /** By type. */
  readonly attributes: Readonly<Record<string, string>>;
};

/** Enums and composites that values are made of, however deep. `relation` is an alias of pg_class. Types of the server's own, below 16384, do not change. */
const usedTypesSql = `WITH RECURSIVE used (oid) AS (
    SELECT atttypid FROM pg_attribute WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped AND atttypid >= 16384
    UNION
    SELECT part.oid FROM used JOIN pg_type AS type ON type.oid = used.oid CROSS JOIN LATERAL (
      SELECT type.typelem UNION ALL SELECT type.typbasetype
      UNION ALL SELECT atttypid FROM pg_attribute WHERE type.typtype = 'c' AND attrelid = type.typrelid AND attnum > 0 AND NOT attisdropped
    ) AS part (oid) WHERE part.oid >= 16384
  )`;

/** One JSON object. `relation` is an alias of pg_class. */
export const rowTraceSql: string = `json_build_object(
  'files', CASE relation.relkind WHEN 'p' THEN (
    SELECT md5(string_agg(concat(tree.relid::oid, ':', pg_relation_filenode(tree.relid)), ',' ORDER BY tree.relid::oid))
    FROM pg_partition_tree(relation.oid) AS tree
  ) ELSE pg_relation_filenode(relation.oid)::text END,
  'columns', (
    SELECT coalesce(json_agg(json_build_object('number', attribute.attnum, 'describedBy', attribute.xmin::text)), '[]')
    FROM pg_attribute AS attribute WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
  ),
  'labels', (${usedTypesSql}
    SELECT coalesce(json_object_agg(label.oid::int8, label.enumlabel), '{}') FROM used JOIN pg_enum AS label ON label.enumtypid = used.oid
  ),
  'attributes', (${usedTypesSql}
    SELECT coalesce(json_object_agg(used.oid::int8, (
      SELECT string_agg(concat_ws(' ', attnum, attname, atttypid), ',' ORDER BY attnum)
      FROM pg_attribute WHERE attrelid = type.typrelid AND attnum > 0 AND NOT attisdropped)), '{}')
    FROM used JOIN pg_type AS type ON type.oid = used.oid AND type.typtype = 'c'
  ))`;

/** Rows are not told as they were told before, or not as they are. */
export function areRowsOther(before: RowTrace | undefined, now: RowTrace | undefined): boolean {
  if (before === undefined || now === undefined) return false;
  return areRewritten(before, now) || areNamedOtherwise(before, now);
}

/** A label that is new changes no row, but an attribute that is new is in all of them. */
function areNamedOtherwise(before: RowTrace, now: RowTrace): boolean {
  const differ = (one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean =>
    Object.entries(one).some(([oid, text]) => (other[oid] ?? text) !== text);
  return differ(before.labels, now.labels) || differ(before.attributes, now.attributes);
}

/**
 * ALTER TABLE … USING may leave a table's shape as it is and give its rows other values: its files are others then, and so is the description of a column. VACUUM FULL leaves the latter as they
 * are.
 */
function areRewritten(before: RowTrace, now: RowTrace): boolean {
  if (before.files === now.files) return false;
  const describedBy = new Map(before.columns.map((column) => [column.number, column.describedBy]));
  return now.columns.some((column) => (describedBy.get(column.number) ?? column.describedBy) !== column.describedBy);
}

/** A column was not there at all, nor has any row been rewritten since: what the catalog says now of its default is all that there ever was. */
export function isNew({ number }: KnownColumn, before: RowTrace | undefined, now: RowTrace | undefined): boolean {
  if (before === undefined || now === undefined || before.files !== now.files) return false;
  return number !== undefined && !before.columns.some((column) => column.number === number);
}
