import { BatonError } from '@batondb/core/errors';
import { type KnownColumn, knownColumn, nameOf, type Table, type TableName, type ValueKind } from '../table.ts';

// How a table of the source is told in SQLite's terms. Pure.

/**
 * What a column is declared as. SQLite converts what is stored by it: text in a TEXT column stays what it is, so decimals are not rounded. NUMERIC would
 * make doubles of them.
 */
export type DeclaredType = 'INTEGER' | 'REAL' | 'TEXT' | 'BLOB';

export type ShapeColumn = KnownColumn & {
  readonly kind: ValueKind;
  readonly declared: DeclaredType;
};

/** A table as the writer's thread knows it. */
export type Shape = TableName & {
  readonly id: string;
  readonly original: TableName | undefined;
  /** Its name in the file. */
  readonly sqlName: string;
  readonly columns: readonly ShapeColumn[];
  readonly key: readonly number[];
  /** `primary` is a PRIMARY KEY. Where parts of a key may be NULL, SQLite's rule that NULLs differ must not hold: `nullable` has an index that is not unique. */
  readonly keyKind: 'primary' | 'nullable' | 'none';
};

const declaredTypes: Readonly<Record<ValueKind, DeclaredType>> = {
  boolean: 'INTEGER',
  integer: 'INTEGER',
  bigint: 'INTEGER',
  decimal: 'TEXT',
  float: 'REAL',
  text: 'TEXT',
  binary: 'BLOB',
  json: 'TEXT',
  date: 'TEXT',
  timestamp: 'TEXT',
  array: 'TEXT',
  composite: 'TEXT',
  other: 'TEXT',
};

/** Throws USAGE for names that SQLite cannot have, or cannot tell apart. */
export function shapeOf(table: Table): Shape {
  expectDistinctColumns(table);
  const isNullable = table.key.some((place) => table.columns[place]?.isNullable);
  return {
    id: table.id,
    schema: table.schema,
    name: table.name,
    original: table.original,
    sqlName: sqlNameOf(table),
    columns: table.columns.map((column) => ({
      ...knownColumn(column),
      kind: column.codec.kind,
      declared: declaredTypes[column.codec.kind],
    })),
    key: table.key,
    keyKind: table.key.length === 0 ? 'none' : isNullable ? 'nullable' : 'primary',
  };
}

/** `users` of the schema `public`, `sales_orders` of any other. Throws USAGE for names that belong to SQLite or to us. */
export function sqlNameOf(table: TableName): string {
  const name = table.schema === 'public' ? table.name : `${table.schema}_${table.name}`;
  if (/^(sqlite|_baton)_/i.test(name)) {
    throw new BatonError('USAGE', `${nameOf(table)} cannot be a table of the name ${name} in SQLite: it is reserved`, {
      hint: 'give it another name with --rename, or leave it out with --exclude',
    });
  }
  return name;
}

/** Throws USAGE when two tables would have one name; SQLite does not tell `Users` from `users`. */
export function expectDistinctNames(tables: Iterable<TableName>): void {
  const seen = new Map<string, TableName>();
  for (const table of tables) {
    const name = sqlNameOf(table);
    const other = seen.get(foldCase(name));
    if (other !== undefined && nameOf(other) !== nameOf(table)) {
      throw new BatonError(
        'USAGE',
        `${nameOf(other)} and ${nameOf(table)} would be the same table of SQLite, ${sqlNameOf(other)} and ${name}`,
        { hint: 'give one of them another name with --rename, or leave it out with --exclude' },
      );
    }
    seen.set(foldCase(name), table);
  }
}

function expectDistinctColumns(table: Table): void {
  const seen = new Map<string, string>();
  for (const { name } of table.columns) {
    const other = seen.get(foldCase(name));
    if (other !== undefined) {
      throw new BatonError('USAGE', `the columns ${other} and ${name} of ${nameOf(table)} are one name to SQLite`, {
        hint: 'leave one of them out with columns, or rename it in the source',
      });
    }
    seen.set(foldCase(name), name);
  }
  if (rowidNames.every((name) => seen.has(name))) {
    throw new BatonError('USAGE', `${nameOf(table)} has columns of all names that SQLite has for a row's number`, {
      hint: 'leave out one of rowid, oid and _rowid_ with columns',
    });
  }
}

const rowidNames = ['rowid', 'oid', '_rowid_'] as const;

/** The name by which the number of a row can be asked for: a column of that name would hide it. */
export function rowidOf(shape: Pick<Shape, 'columns'>): string {
  const names = new Set(shape.columns.map(({ name }) => foldCase(name)));
  return rowidNames.find((name) => !names.has(name)) ?? 'rowid';
}

/** SQLite folds ASCII letters only. */
export function foldCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The statements that make a table, under a name that may be a passing one. */
export function createStatements(shape: Shape, name: string = shape.sqlName): readonly string[] {
  const columns = shape.columns.map((column) => `${quoteName(column.name)} ${column.declared}`);
  const keyNames = shape.key.map((place) => quoteName(shape.columns[place]?.name ?? ''));
  if (shape.keyKind === 'primary') columns.push(`PRIMARY KEY (${keyNames.join(', ')})`);
  // A table without columns is allowed in PostgreSQL and not in SQLite; its rows can still be counted.
  if (columns.length === 0) columns.push('"_" TEXT');
  return [`CREATE TABLE ${quoteName(name)} (${columns.join(', ')})`];
}

/**
 * The index by which rows are found that no primary key tells apart. Of a table without a key it has a few columns that are short: enough to come
 * near, without holding every row twice.
 */
export function indexStatement(shape: Shape): string | undefined {
  if (shape.keyKind === 'primary') return undefined;
  const places = shape.keyKind === 'nullable' ? shape.key : shortPlaces(shape);
  if (places.length === 0) return undefined;
  const names = places.map((place) => quoteName(shape.columns[place]?.name ?? ''));
  return `CREATE INDEX ${quoteName(`_baton_rows_${shape.sqlName}`)} ON ${quoteName(shape.sqlName)} (${names.join(', ')})`;
}

const shortKinds: ReadonlySet<ValueKind> = new Set([
  'integer',
  'bigint',
  'decimal',
  'float',
  'text',
  'date',
  'timestamp',
]);
const indexColumnsMax = 3;

function shortPlaces(shape: Shape): readonly number[] {
  return [...shape.columns.keys()]
    .filter((place) => shortKinds.has(shape.columns[place]?.kind ?? 'other'))
    .slice(0, indexColumnsMax);
}
