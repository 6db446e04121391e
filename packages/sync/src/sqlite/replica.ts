import type { DatabaseSync } from 'node:sqlite';
import { assert, BatonError } from '@batondb/core/errors';
import type { LoadResult, SinkState, TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import { nameOf, type TableName } from '../table.ts';
import { recordOf } from '../table-record.ts';
import { guard, identityOf, openDatabase } from './database.ts';
import { type KeyPage, keyPage } from './key-pages.ts';
import { sqliteLimits } from './limits.ts';
import { fillTable, type TableFill } from './load.ts';
import type { Changes } from './requests.ts';
import { drop, giveShape, rename } from './reshape.ts';
import { expectDistinctNames, type Shape, sqlNameOf } from './shape.ts';
import { claimFile, type Head, readHead, readRecords, removeRecord, writeHead, writeRecord } from './state.ts';
import { StreamWriter } from './stream-writer.ts';
import { nothingTouched, TouchedLog } from './touched.ts';

/** A file as its one writer has it. Everything is synchronous: it lives in a thread of its own. After an error it is of no use any more. */
export class Replica {
  readonly #path: string;
  readonly #identity: string;
  readonly #database: DatabaseSync;
  readonly #records: Map<string, TableRecord>;
  readonly #fills = new Map<number, { readonly shape: Shape; readonly fill: TableFill }>();
  #head: Head;
  #touched: TouchedLog;
  #stream: StreamWriter;
  #hasPartsTouched = false;
  #rowsSinceCommit = 0;

  /** Opens a file or makes it, and becomes its owner: whoever was it before is refused from now on (Y2). */
  constructor(path: string, source: string) {
    this.#path = path;
    this.#database = openDatabase(path);
    this.#identity = identityOf(path);
    try {
      guard(path, () => {
        this.#database.exec('BEGIN IMMEDIATE');
        claimFile(this.#database, path, source);
        const head = readHead(this.#database);
        writeHead(this.#database, { ...head, owner: head.owner + 1 });
        this.#database.exec('COMMIT');
      });
    } catch (error) {
      this.close();
      throw error;
    }
    this.#head = readHead(this.#database);
    this.#records = readRecords(this.#database);
    this.#touched = new TouchedLog(this.#database);
    this.#stream = this.#newStream();
  }

  get state(): SinkState {
    return { position: this.#head.position, isOpen: this.#head.isOpen, tables: this.#records };
  }

  get tables(): readonly TableRecord[] {
    return [...this.#records.values()];
  }

  begin(position: Position, shapes: readonly Shape[], isDumped: boolean): void {
    this.#inTransaction(() => {
      const names = new Set(shapes.map(nameOf));
      for (const [name, record] of this.#records) if (!names.has(name)) this.#forget(record);
      for (const shape of shapes) {
        this.#shape(shape);
        this.#remember(recordOf(shape, { dumpedAt: isDumped ? position : undefined, isResyncing: false }));
      }
      this.#touched.beginAt(position);
      this.#commitAt(position, !isDumped);
    });
    this.#stream = this.#newStream();
  }

  loadBegin(number: number, shape: Shape): void {
    this.#inTransaction(() => {
      this.#shape(shape);
      this.#remember(recordOf(shape, { dumpedAt: undefined, isResyncing: false }));
      this.#fills.set(number, { shape, fill: fillTable(this.#database, shape, number) });
      this.#commit();
    });
  }

  /** Rows of all loads share transactions, which nothing waits for: what they are worth is decided by `loadFinish`. */
  loadWrite(number: number, fields: Parameters<TableFill['write']>[0]): void {
    const { fill, shape } = this.#fillOf(number);
    this.#inTransaction(() => {
      fill.write(fields);
      this.#rowsSinceCommit += fields.length / Math.max(1, shape.columns.length);
      if (this.#rowsSinceCommit >= sqliteLimits.loadCommitRows) this.#commit();
    });
  }

  loadFinish(number: number, dumpedAt: Position): LoadResult {
    const { fill, shape } = this.#fillOf(number);
    return this.#inTransaction(() => {
      const result = fill.finish();
      this.#remember(recordOf(shape, { dumpedAt: dumpedAt, isResyncing: false }));
      this.#commit();
      this.loadAbandon(number);
      return result;
    });
  }

  loadAbandon(number: number): void {
    this.#fills.get(number)?.fill.dispose();
    this.#fills.delete(number);
  }

  /** True when what is remembered of tables has changed. */
  apply(changes: Changes): boolean {
    return this.#inTransaction(() => {
      let hasNewTables = this.#stream.write(changes);
      const { end, touched } = changes;
      if (touched !== nothingTouched) {
        this.#touched.add(touched, end?.position);
        this.#hasPartsTouched ||= end === undefined;
      }
      if (end !== undefined) {
        hasNewTables = this.#stream.end(end.position) || hasNewTables;
        if (this.#hasPartsTouched) this.#touched.place(end.position);
        this.#hasPartsTouched = false;
        this.#commitAt(end.position, end.isOpen);
      }
      return hasNewTables;
    });
  }

  /** What was applied of a transaction that was not told to its end is undone. */
  rollBack(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    this.#records.clear();
    for (const [name, record] of readRecords(this.#database)) this.#records.set(name, record);
    this.#touched = new TouchedLog(this.#database);
    this.#stream = this.#newStream();
    this.#hasPartsTouched = false;
  }

  touchedPage(before: number | undefined): ReturnType<TouchedLog['page']> {
    return guard(this.#path, () => this.#touched.page(before));
  }

  keys(shape: Shape, after: bigint | undefined): KeyPage {
    return guard(this.#path, () => keyPage(this.#database, shape, after));
  }

  rewind(position: Position, tables: readonly TableName[]): void {
    this.#inTransaction(() => {
      for (const name of tables) {
        const record = this.#records.get(nameOf(name));
        if (record !== undefined) this.#remember({ ...record, isResyncing: true });
      }
      this.#commitAt(position, true);
    });
  }

  close(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    this.#database.close();
  }

  /** Runs in the transaction that is open, or in one that it opens; whether it ends with it is the work's own choice. */
  #inTransaction<T>(work: () => T): T {
    return guard(this.#path, () => {
      if (!this.#database.isTransaction) this.#beginTransaction();
      return work();
    });
  }

  #beginTransaction(): void {
    if (identityOf(this.#path) !== this.#identity) {
      throw new BatonError('CHANGED', `${this.#path} was removed or replaced while it was written`, {
        hint: 'stop baton before the file is replaced; it begins anew in one that is empty',
      });
    }
    // From here on nobody else can write: what is compared stays so until the commit (Y2).
    this.#database.exec('BEGIN IMMEDIATE');
    const found = readHead(this.#database);
    if (found.owner === this.#head.owner && found.position === this.#head.position) return;
    throw new BatonError(
      'REFUSED',
      `${this.#path} has another owner, number ${found.owner} and not ${this.#head.owner}`,
      {
        hint: 'let one process write to a file; this one waits for its turn',
        retryable: true,
      },
    );
  }

  #commitAt(position: Position, isOpen: boolean): void {
    const head: Head = { position, isOpen, owner: this.#head.owner };
    writeHead(this.#database, head);
    this.#commit();
    this.#head = head;
  }

  #commit(): void {
    assert(this.#database.isTransaction, 'Y1: data and position are in one transaction');
    this.#database.exec('COMMIT');
    this.#rowsSinceCommit = 0;
  }

  #newStream(): StreamWriter {
    return new StreamWriter(this.#database, {
      recordOf: (shape) => this.#recordById(shape.id) ?? this.#records.get(nameOf(shape)),
      shape: (shape) => this.#shape(shape),
      remember: (record) => this.#remember(record),
      forget: (name) => this.#forget(name),
    });
  }

  /** The table has this shape, also when it had another name. */
  #shape(shape: Shape): void {
    const before = this.#recordById(shape.id);
    if (before !== undefined && nameOf(before) !== nameOf(shape)) {
      const holder = this.#records.get(nameOf(shape));
      // Names were exchanged: what has the name until now is told of later, by its id.
      if (holder !== undefined) this.#rename(holder, { schema: holder.schema, name: `${holder.name}_${holder.id}` });
      this.#rename(before, shape);
    }
    expectDistinctNames([...this.#records.values(), shape]);
    giveShape(this.#database, shape);
  }

  #rename(record: TableRecord, to: TableName): void {
    rename(this.#database, sqlNameOf(record), sqlNameOf(to));
    removeRecord(this.#database, record);
    this.#records.delete(nameOf(record));
    this.#remember({ ...record, schema: to.schema, name: to.name });
  }

  #recordById(id: string): TableRecord | undefined {
    return [...this.#records.values()].find((record) => record.id === id);
  }

  #remember(record: TableRecord): void {
    writeRecord(this.#database, record, sqlNameOf(record));
    this.#records.set(nameOf(record), record);
  }

  #forget(name: TableName): void {
    drop(this.#database, sqlNameOf(name));
    removeRecord(this.#database, name);
    this.#records.delete(nameOf(name));
  }

  #fillOf(number: number): { readonly shape: Shape; readonly fill: TableFill } {
    const found = this.#fills.get(number);
    assert(found !== undefined, `load ${number} is under way`);
    return found;
  }
}
