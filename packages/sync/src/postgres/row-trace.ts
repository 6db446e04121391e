import type { KnownColumn } from '../table.ts';

// What the catalog shows of rows that became others without a word of the stream: a table that was rewritten, and columns that are not those that had their names before.

export type RowTrace = {
  /** Of the files of its rows: another text when they were rewritten or emptied. */
  readonly files: string | null;
  /** Each column that there is, published or not, and the transaction that described it last. */
  readonly columns: readonly { readonly number: number; readonly describedBy: string }[];
};

/** One JSON object. `relation` is an alias of pg_class. */
export const rowTraceSql = `json_build_object(
  'files', CASE relation.relkind WHEN 'p' THEN (
    SELECT md5(string_agg(concat(tree.relid::oid, ':', pg_relation_filenode(tree.relid)), ',' ORDER BY tree.relid::oid))
    FROM pg_partition_tree(relation.oid) AS tree
  ) ELSE pg_relation_filenode(relation.oid)::text END,
  'columns', (
    SELECT coalesce(json_agg(json_build_object('number', attribute.attnum, 'describedBy', attribute.xmin::text)), '[]')
    FROM pg_attribute AS attribute WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
  ))`;

/**
 * ALTER TABLE … USING may leave a table's shape as it is and give its rows other values: its files are others then, and so is the description of a column. VACUUM FULL leaves the latter as they
 * are.
 */
export function areRewritten(before: RowTrace | undefined, now: RowTrace | undefined): boolean {
  if (before === undefined || now === undefined || before.files === now.files) return false;
  const describedBy = new Map(before.columns.map((column) => [column.number, column.describedBy]));
  return now.columns.some((column) => (describedBy.get(column.number) ?? column.describedBy) !== column.describedBy);
}

/** A column was not there at all, nor has any row been rewritten since: what the catalog says now of its default is all that there ever was. */
export function isNew({ number }: KnownColumn, before: RowTrace | undefined, now: RowTrace | undefined): boolean {
  if (before === undefined || now === undefined || before.files !== now.files) return false;
  return number !== undefined && !before.columns.some((column) => column.number === number);
}
