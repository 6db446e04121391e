import type { DatabaseSync } from 'node:sqlite';
import { assert, BatonError } from '@batondb/core/errors';
import type { TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import { nameOf, type TableName } from '../table.ts';
import { recordOf } from '../table-record.ts';
import { textOf } from './key-pages.ts';
import { type Changes, operations, type StructureChange } from './requests.ts';
import type { Shape } from './shape.ts';
import { TableWriter, type Value } from './writer.ts';

/** What its owner knows and keeps of tables. */
export type Tables = {
  recordOf(shape: Shape): TableRecord | undefined;
  shape(shape: Shape): void;
  remember(record: TableRecord): void;
  forget(name: TableName): void;
};

/** Writes groups of changes, in the transaction of its owner. */
export class StreamWriter {
  readonly #database: DatabaseSync;
  readonly #tables: Tables;
  readonly #writers = new Map<number, TableWriter>();
  /** Each is told once, and its writer may have gone since: two objects of a table may take turns. */
  readonly #shapes = new Map<number, Shape>();

  /** Tables that were never dumped, and of which all rows have come in the stream. */
  #whole: Shape[] = [];

  constructor(database: DatabaseSync, tables: Tables) {
    this.#database = database;
    this.#tables = tables;
  }

  /** True when what is remembered of tables has changed. */
  write({ shapes, operations: todo, fields, structure }: Changes): boolean {
    for (const { number, shape } of shapes) this.#shapes.set(number, shape);
    let at = 0;
    for (let step = 0; step < todo.length; step += 2) {
      const kind = todo[step];
      const number = todo[step + 1] ?? -1;
      if (kind === operations.structure) {
        this.#restructure(structure[number]);
        continue;
      }
      const writer = this.#writerOf(number);
      const width = writer.shape.columns.length;
      const row = fields.slice(at, at + width);
      at += width;
      if (kind === operations.insert) writer.insert(row);
      else if (kind === operations.delete) writer.delete(row);
      else if (kind === operations.update) this.#update(writer, row, undefined);
      else {
        this.#update(writer, row, fields.slice(at, at + width));
        at += width;
      }
    }
    return structure.length > 0;
  }

  /** At the end of a transaction: what is whole now counts as dumped at its position. True when there is such a table. */
  end(position: Position): boolean {
    const whole = this.#whole;
    this.#whole = [];
    for (const shape of whole) {
      const record = this.#tables.recordOf(shape);
      if (record !== undefined) this.#tables.remember({ ...record, dumpedAt: position });
    }
    return whole.length > 0;
  }

  #update(writer: TableWriter, row: readonly Value[], old: readonly Value[] | undefined): void {
    const { shape } = writer;
    // Rows that are missing are still to come where the table is being read anew.
    if (writer.update(row, old, this.#tables.recordOf(shape)?.isResyncing ?? false)) return;
    const key = shape.key
      .map((place) => textOf(row[place], shape.columns[place]?.kind ?? 'other') ?? 'NULL')
      .join(', ');
    throw new BatonError(
      'DIVERGED',
      `the replica has no row (${key}) of ${nameOf(shape)}, of which an update left columns as they were`,
      { hint: `read the table anew: baton sync resync --table ${nameOf(shape)}` },
    );
  }

  #writerOf(number: number): TableWriter {
    let writer = this.#writers.get(number);
    if (writer === undefined) {
      const shape = this.#shapes.get(number);
      assert(shape !== undefined, `shape ${number} was told`);
      expectToldShape(this.#tables.recordOf(shape), shape);
      for (const [other, { shape: before }] of this.#writers) if (before.id === shape.id) this.#writers.delete(other);
      writer = new TableWriter(this.#database, shape);
      this.#writers.set(number, writer);
    }
    return writer;
  }

  #restructure(change: StructureChange | undefined): void {
    assert(change !== undefined, 'a change of structure was told');
    switch (change.kind) {
      case 'truncate':
        for (const shape of change.shapes) new TableWriter(this.#database, shape).clear();
        break;
      case 'reshape':
        this.#reshape(change.shape);
        break;
      case 'drop':
        this.#drop(change.shape);
        break;
      case 'resync':
        this.#resync(change);
        break;
    }
  }

  #drop(shape: Shape): void {
    const record = this.#tables.recordOf(shape);
    if (record !== undefined) this.#tables.forget(record);
  }

  #reshape(shape: Shape): void {
    const before = this.#tables.recordOf(shape);
    // A table of the same name that was dropped and made anew has none of its rows.
    const isOther = before !== undefined && before.id !== shape.id;
    if (isOther) this.#tables.forget(before);
    this.#tables.shape(shape);
    const known = isOther ? undefined : before;
    this.#tables.remember(recordOf(shape, { dumpedAt: known?.dumpedAt, isResyncing: known?.isResyncing ?? false }));
  }

  #resync({ shape, state, scope }: Extract<StructureChange, { kind: 'resync' }>): void {
    const dumpedAt = this.#tables.recordOf(shape)?.dumpedAt;
    this.#tables.remember(recordOf(shape, { dumpedAt: dumpedAt, isResyncing: state === 'begin' }));
    if (state === 'end' && scope === 'table' && dumpedAt === undefined) this.#whole.push(shape);
  }
}

/** Fields go by their places: a row of another shape than the table has would be written into the wrong columns. */
function expectToldShape(record: TableRecord | undefined, shape: Shape): void {
  const columns = (from: readonly { readonly name: string }[]): string => from.map(({ name }) => name).join(', ');
  const has = columns(record?.columns ?? []);
  const comes = columns(shape.columns);
  assert(record !== undefined && has === comes, `${nameOf(shape)} has the columns ${has}, its rows come with ${comes}`);
}
