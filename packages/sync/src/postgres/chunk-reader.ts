import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import { keyOf, type Row, type Table } from '../table.ts';
import { endClient, runQuery, runSimple } from './connect.ts';
import { isSqlState } from './failures.ts';
import { type Lsn, parseLsn } from './position.ts';
import { keyText } from './resync.ts';
import { quoteName } from './sql.ts';
import { streamLimits } from './stream-limits.ts';
import { parseVisibility, type Visibility } from './visibility.ts';

// Rows of a part of a table by an ordinary connection, with what it takes to place them in the stream.

export type ChunkRequest = {
  readonly table: Table;
  /** Rows of larger keys only. */
  readonly after: Row | undefined;
  /** Rows of these keys only. */
  readonly keys: readonly Row[] | undefined;
};

export type Chunk = {
  /** By their keys' text; of a table without a key by their numbers. */
  readonly rows: Map<string, Row>;
  /** Keys that were asked for and are not there. */
  readonly missing: Map<string, Row>;
  /** Everything that the read has seen was in the log before. */
  readonly high: Lsn;
  /** The last key. */
  readonly last: Row | undefined;
  readonly isLast: boolean;
};

export type ReadChunk = Chunk & { readonly visibility: Visibility };

export type ChunkReaderContext = {
  /** An ordinary connection to the node of the stream. */
  readonly connect: () => Promise<pg.Client>;
  readonly node: string;
  /** The publication's row filter of a table, as it is now. */
  readonly filterOf: (table: Table) => Promise<string | undefined>;
};

type Place = { readonly name: string; readonly kind: string };

export class ChunkReader implements AsyncDisposable {
  readonly #context: ChunkReaderContext;
  #client: Promise<pg.Client> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(context: ChunkReaderContext) {
    this.#context = context;
  }

  /** One chunk, after those that were asked for before: they share a connection. `changed`: the table is another now than the stream has told yet. */
  read(request: ChunkRequest): Promise<ReadChunk | 'changed'> {
    const read = this.#last.then(() => this.#read(request));
    this.#last = read.catch(() => undefined);
    return read;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    if (client !== undefined) await endClient(client);
  }

  async #read(request: ChunkRequest): Promise<ReadChunk | 'changed'> {
    const filter = await this.#context.filterOf(request.table);
    const client = await this.#connect();
    const { name } = (await this.#find(client, request.table)) ?? {};
    if (name === undefined) return 'changed';
    await this.#run(client, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    try {
      // Before the snapshot: rows are read by the table's present definition, whatever the snapshot says, and a table that was written anew since is empty for it.
      await this.#run(client, `LOCK TABLE ONLY ${name} IN ACCESS SHARE MODE`);
      return await this.#readInside(client, { ...request, locked: name }, filter);
    } catch (error) {
      // Dropped between two statements of ours, or a column of the publication's filter was.
      if (isSqlState(error, '42P01') || isSqlState(error, '42703')) return 'changed';
      throw error;
    } finally {
      await this.#run(client, 'ROLLBACK').catch(() => undefined);
    }
  }

  #connect(): Promise<pg.Client> {
    this.#client ??= this.#context.connect();
    return this.#client;
  }

  async #run(client: pg.Client, sql: string): Promise<readonly (readonly (string | null)[])[]> {
    return (await runSimple(client, sql, this.#context.node)).rows;
  }

  async #readInside(
    client: pg.Client,
    request: ChunkRequest & { readonly locked: string },
    filter: string | undefined,
  ): Promise<ReadChunk | 'changed'> {
    // The first query takes the snapshot that all others see.
    const [[snapshot] = []] = await this.#run(client, 'SELECT pg_current_snapshot()');
    const place = await this.#find(client, request.table);
    if (place?.name !== request.locked) return 'changed';
    const { rows, isLast } = await this.#rows(client, request, place, filter);
    const [[high] = []] = await this.#run(client, 'SELECT pg_current_wal_insert_lsn()');
    return {
      ...arrange(request, rows),
      // Of keys there are more until there are none.
      isLast: request.keys === undefined ? isLast : request.keys.length === 0,
      high: parseLsn(high ?? ''),
      visibility: parseVisibility(snapshot ?? ''),
    };
  }

  /** By what name the table goes now. Undefined when its columns are not those that the stream has told of. */
  async #find(client: pg.Client, { id, columns }: Table): Promise<Place | undefined> {
    const sql = `SELECT relation.oid::regclass, relation.relkind, (
        SELECT json_agg(json_build_array(attname, format_type(atttypid, atttypmod)))
        FROM pg_attribute WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped)
      FROM pg_class AS relation WHERE relation.oid = $1`;
    const [row] = (await runQuery(client, sql, [id], this.#context.node)).rows;
    const [name, kind, text] = row ?? [];
    if (name === undefined || name === null) return undefined;
    const types = new Map(JSON.parse(text ?? '[]') as [string, string][]);
    return columns.every((column) => types.get(column.name) === column.type) ? { name, kind: kind ?? '' } : undefined;
  }

  /** In pieces, so that wide rows do not come all at once. */
  async #rows(
    client: pg.Client,
    request: ChunkRequest,
    place: Place,
    filter: string | undefined,
  ): Promise<{ rows: Row[]; isLast: boolean }> {
    if (request.keys?.length === 0) return { rows: [], isLast: true };
    const { sql, values } = selectSql(request, place, filter);
    await runQuery(client, `DECLARE baton_chunk NO SCROLL CURSOR FOR ${sql}`, values, this.#context.node);
    const rows: Row[] = [];
    const isWhole = request.table.key.length === 0 || request.keys !== undefined;
    for (let bytes = 0; ; ) {
      const piece = await this.#run(client, 'FETCH 250 FROM baton_chunk');
      for (const row of piece) {
        rows.push(row);
        for (const field of row) bytes += field?.length ?? 0;
      }
      if (piece.length === 0) return { rows, isLast: true };
      if (isWhole) checkWhole(request.table, rows.length, bytes);
      else if (rows.length >= streamLimits.chunkRows || bytes > streamLimits.chunkBytesMax)
        return { rows, isLast: false };
    }
  }
}

function selectSql(
  { table, after, keys }: ChunkRequest,
  { name, kind }: Place,
  filter: string | undefined,
): { sql: string; values: (string | null)[] } {
  const columns = table.columns.map((column) => quoteName(column.name)).join(', ');
  const key = table.key.map((place) => quoteName(table.columns[place]?.name ?? '')).join(', ');
  const values: (string | null)[] = [];
  const tuple = (fields: Row): string => `(${fields.map((field) => `$${values.push(field ?? null)}`).join(', ')})`;
  const conditions = filter === undefined ? [] : [`(${filter})`];
  if (after !== undefined) conditions.push(`(${key}) > ${tuple(after)}`);
  if (keys !== undefined) conditions.push(`(${key}) IN (${keys.map(tuple).join(', ')})`);
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const order = key === '' || keys !== undefined ? '' : ` ORDER BY ${key}`;
  // Tables that inherit from an ordinary one are tables of their own.
  const from = kind === 'p' ? name : `ONLY ${name}`;
  return { sql: `SELECT ${columns} FROM ${from}${where}${order}`, values };
}

function arrange({ table, keys }: ChunkRequest, rows: readonly Row[]): Pick<Chunk, 'rows' | 'missing' | 'last'> {
  const hasKey = table.key.length > 0;
  const found = new Map(rows.map((row, number) => [hasKey ? keyText(keyOf(table, row)) : String(number), row]));
  const missing = new Map(keys?.map((key) => [keyText(key), key]));
  for (const key of found.keys()) missing.delete(key);
  const last = rows.at(-1);
  return {
    rows: found,
    missing,
    last: last === undefined || !hasKey || keys !== undefined ? undefined : keyOf(table, last),
  };
}

function checkWhole(table: Table, rows: number, bytes: number): void {
  if (rows <= streamLimits.keylessRowsMax && bytes <= streamLimits.chunkBytesMax * 4) return;
  throw new BatonError(
    'LIMIT',
    `${table.schema}.${table.name} has no key and more than ${rows - 1} rows, which is too much to read at once`,
    {
      hint: 'give it a primary key, or begin again with a dump',
    },
  );
}
