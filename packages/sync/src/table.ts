// What a table is and what its rows are made of, between a source and a sink.

/**
 * A value as its source writes it, in the one text form that it has there. `null` is NULL. `undefined` is not known: an update left a value as it was
 * and its source did not send it again, or an old row came with its key alone.
 */
export type Field = string | null | undefined;

/** The fields of a row, in the order of its table's columns. */
export type Row = readonly Field[];

/** What a column holds, as far as a sink has to care: it chooses a type of its own by it. */
export type ValueKind =
  | 'boolean'
  /** Up to 32 bits. */
  | 'integer'
  /** Beyond what a double holds exactly. */
  | 'bigint'
  | 'decimal'
  | 'float'
  | 'text'
  | 'binary'
  | 'json'
  | 'date'
  | 'timestamp'
  | 'array'
  | 'composite'
  | 'other';

/** What SQLite takes. */
export type SqliteValue = number | bigint | string | Uint8Array;

/** How the text of a source's value is told in other tongues. Pure. `text` is never null. Throws PROTOCOL for text that its type cannot have. */
export type ValueCodec = {
  readonly kind: ValueKind;
  /** The value as JSON: what 64 bits hold and decimals are strings, so nobody rounds them; docs/sync-types.md has all types. */
  readonly json: (text: string) => string;
  /** Where every value is a JSON string: the same without its quotes, so that a row's text is put together from fewer pieces. */
  readonly quoted?: (text: string) => string;
  /**
   * Texts that stand in JSON as they are, between quotes where `quoted` is: printable ASCII without quotes and backslashes; whole numbers without needless zeros. And times
   * in UTC such as `2026-11-21 12:00:00+00`, whole or in microseconds, which are made ISO. Of such texts `json` says the same. Undefined: none is sure to be so.
   */
  readonly plain?: 'characters' | 'digits' | 'utcTime';
  readonly sqlite: (text: string) => SqliteValue;
};

/** What a sink remembers of a column. */
export type KnownColumn = {
  readonly name: string;
  /** As the source calls it, such as `numeric(10,2)`. */
  readonly type: string;
  /** The source's own: stays when the column is renamed, and is another one when it is dropped and made anew. Undefined: not known. */
  readonly number?: number;
};

export type Column = KnownColumn & {
  readonly isNullable: boolean;
  readonly codec: ValueCodec;
};

/** The name by which a source knows a table. */
export type TableName = { readonly schema: string; readonly name: string };

/**
 * A table as it is for the rows that come with it. One whose shape changes becomes another object; two rows of the same object have the same shape.
 */
export type Table = TableName & {
  /** Stays when the table is renamed, and is another one when it is dropped and made anew. */
  readonly id: string;
  /** What the source calls it, where a mapping has given it another name. */
  readonly original?: TableName;
  readonly columns: readonly Column[];
  /** Places in `columns` that tell rows apart, in the key's own order. Empty: nothing does. */
  readonly key: readonly number[];
  /** Old rows of updates and deletes come whole, and not with their key alone. */
  readonly hasWholeOldRows: boolean;
};

/** `schema.name`, for people and as a key of maps. A dot inside of a name is doubled, so two names never meet. */
export function nameOf({ schema, name }: TableName): string {
  return `${schema.replaceAll('.', '..')}.${name.replaceAll('.', '..')}`;
}

export function knownColumn({ name, type, number }: KnownColumn): KnownColumn {
  return { name, type, ...(number === undefined ? {} : { number }) };
}

/** The fields of a row's key, in the key's order. */
export function keyOf(table: Table, row: Row): Row {
  return table.key.map((place) => row[place]);
}
