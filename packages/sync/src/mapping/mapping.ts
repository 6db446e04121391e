import { BatonError } from '@batondb/core/errors';
import { type Column, nameOf, type Row, type Table, type TableName } from '../table.ts';
import type { TablePattern } from './patterns.ts';

// Which tables and columns go to a sink, by which names, and what tells their rows apart.

export type MappingOptions = {
  /** Default: all that are published. */
  readonly include: readonly TablePattern[];
  /** Wins over `include`. */
  readonly exclude: readonly TablePattern[];
  /** Columns of tables; tables that no pattern matches have all of theirs. */
  readonly columns: readonly { readonly table: TablePattern; readonly columns: readonly string[] }[];
  /** What tells the rows of tables apart where that is not their primary key. */
  readonly keys: readonly { readonly table: TablePattern; readonly columns: readonly string[] }[];
  readonly renames: readonly { readonly from: TableName; readonly to: TableName }[];
};

export const everything: MappingOptions = { include: [], exclude: [], columns: [], keys: [], renames: [] };

/** A table as a sink gets it, and how its rows are made. */
export type MappedTable = {
  readonly table: Table;
  /** Undefined: rows stay as they are. */
  readonly places: readonly number[] | undefined;
};

/** Pure, but for a memory of what was mapped. */
export class Mapping {
  readonly #options: MappingOptions;
  readonly #mapped = new WeakMap<Table, MappedTable | 'excluded'>();

  constructor(options: MappingOptions) {
    this.#options = options;
  }

  includes(name: TableName): boolean {
    const { include, exclude } = this.#options;
    if (exclude.some((pattern) => pattern.matches(name))) return false;
    return include.length === 0 || include.some((pattern) => pattern.matches(name));
  }

  /** Undefined: it does not go to the sink. The same table gives the same result. Throws USAGE for columns that it does not have. */
  map(table: Table): MappedTable | undefined {
    let mapped = this.#mapped.get(table);
    if (mapped === undefined) {
      mapped = this.includes(table) ? this.#map(table) : 'excluded';
      this.#mapped.set(table, mapped);
    }
    return mapped === 'excluded' ? undefined : mapped;
  }

  /** What a table is called at the sink; all that is told of one that is no more. */
  rename<T extends TableName>(table: T): T & { readonly original?: TableName } {
    const { schema, name } = table;
    const to = this.#options.renames.find(({ from }) => from.schema === schema && from.name === name)?.to;
    return to === undefined ? table : { ...table, ...to, original: { schema, name } };
  }

  /** A table of the source's, with the key that its rows have at the sink. */
  withSinkKey(table: Table): Table {
    const mapped = this.map(table);
    if (mapped === undefined || mapped.table === table) return table;
    const { places } = mapped;
    const key = places === undefined ? mapped.table.key : mapped.table.key.map((place) => places[place]!);
    return { ...table, key };
  }

  #map(table: Table): MappedTable {
    const { columns, keys } = this.#options;
    const renamed = this.rename(table);
    const chosen = columns.find((choice) => choice.table.matches(table))?.columns;
    const declared = keys.find((choice) => choice.table.matches(table))?.columns;
    const key = declared === undefined ? table.key : placesOf(table, declared, 'key');
    const wanted = chosen === undefined ? undefined : placesOf(table, chosen, 'column');
    if (declared !== undefined) expectOldKeys(table, key);
    if (renamed === table && wanted === undefined && declared === undefined) return { table, places: undefined };
    // The key goes along whether it was asked for or not: without it rows cannot be told apart. Columns keep the order of the table.
    const places =
      wanted === undefined
        ? undefined
        : table.columns.map((_, place) => place).filter((place) => wanted.includes(place) || key.includes(place));
    return {
      table: {
        ...renamed,
        columns: places === undefined ? table.columns : places.map((place) => table.columns[place]!),
        key: places === undefined ? key : key.map((place) => places.indexOf(place)),
      },
      places,
    };
  }
}

/** A row with the fields that are wanted. */
export function projectRow(row: Row, places: readonly number[]): Row {
  return places.map((place) => row[place]);
}

/** Throws USAGE when two tables would have one name at the sink. */
export function expectDistinct(tables: readonly Table[]): void {
  const seen = new Map<string, Table>();
  for (const table of tables) {
    const name = nameOf(table);
    const other = seen.get(name);
    if (other !== undefined) {
      throw new BatonError(
        'USAGE',
        `${nameOf(other.original ?? other)} and ${nameOf(table.original ?? table)} would both be ${name}`,
        {
          hint: 'give one of them another name with --rename',
        },
      );
    }
    seen.set(name, table);
  }
}

function placesOf(table: Table, names: readonly string[], what: string): readonly number[] {
  return names.map((name) => {
    const place = table.columns.findIndex((column) => column.name === name);
    if (place >= 0) return place;
    const has = table.columns.map((column: Column) => column.name).join(', ');
    throw new BatonError(
      'USAGE',
      `${nameOf(table)} has no column ${JSON.stringify(name)} that could be a ${what}: it has ${has}`,
      {
        hint: 'names are case-sensitive, as in the catalog',
      },
    );
  });
}

/** A declared key has to come with every update and delete, or the row that was cannot be found any more. */
function expectOldKeys(table: Table, key: readonly number[]): void {
  if (table.hasWholeOldRows || key.every((place) => table.key.includes(place))) return;
  throw new BatonError('USAGE', `the declared key of ${nameOf(table)} does not come with its updates and deletes`, {
    hint: `ALTER TABLE ${nameOf(table)} REPLICA IDENTITY FULL, or a unique index on the key as its identity`,
  });
}
