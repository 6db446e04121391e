import type { Group } from '../group-commit.ts';
import type { Row, Table } from '../table.ts';
import { type Changes, operations, type StructureChange } from './requests.ts';
import { type Shape, shapeOf } from './shape.ts';
import { touchedBy } from './touched.ts';
import type { KnownValue, Value } from './writer.ts';

/** Tells groups of events to the writer's thread: values in SQLite's terms, and each shape once. */
export class GroupEncoder {
  readonly #numbers = new WeakMap<Table, number>();
  #lastNumber = 0;

  encode({ events, end }: Group): Changes {
    const shapes: { number: number; shape: Shape }[] = [];
    const todo: number[] = [];
    const fields: Value[] = [];
    const structure: StructureChange[] = [];
    for (const event of events) {
      switch (event.kind) {
        case 'insert':
          todo.push(operations.insert, this.#numberOf(event.table, shapes));
          pushRow(fields, event.table, event.row);
          break;
        case 'update':
          todo.push(
            event.old === undefined ? operations.update : operations.updateWithOld,
            this.#numberOf(event.table, shapes),
          );
          pushRow(fields, event.table, event.row);
          if (event.old !== undefined) pushRow(fields, event.table, event.old);
          break;
        case 'delete':
          todo.push(operations.delete, this.#numberOf(event.table, shapes));
          pushRow(fields, event.table, event.old);
          break;
        case 'truncate':
          todo.push(operations.structure, structure.length);
          structure.push({ kind: 'truncate', shapes: event.tables.map(shapeOf) });
          break;
        case 'reshape':
        case 'drop':
          todo.push(operations.structure, structure.length);
          structure.push({ kind: event.kind, shape: shapeOf(event.table) });
          break;
        case 'resync':
          todo.push(operations.structure, structure.length);
          structure.push({ kind: 'resync', shape: shapeOf(event.table), state: event.state, scope: event.scope });
          break;
        case 'begin':
        case 'commit':
        case 'reached':
          break;
      }
    }
    return { shapes, operations: todo, fields, structure, touched: touchedBy(events), end };
  }

  #numberOf(table: Table, shapes: { number: number; shape: Shape }[]): number {
    let number = this.#numbers.get(table);
    if (number === undefined) {
      number = ++this.#lastNumber;
      this.#numbers.set(table, number);
      shapes.push({ number, shape: shapeOf(table) });
    }
    return number;
  }
}

/** Whole rows of a load. */
export function fieldsOf(table: Table, rows: readonly Row[]): KnownValue[] {
  const fields: Value[] = [];
  for (const row of rows) {
    pushRow(fields, table, row);
    // A table without columns has one in SQLite, which is always NULL.
    if (table.columns.length === 0) fields.push(null);
  }
  return fields as KnownValue[];
}

function pushRow(fields: Value[], { columns }: Table, row: Row): void {
  for (let place = 0; place < columns.length; place++) {
    const field = row[place];
    fields.push(field === null || field === undefined ? field : columns[place]?.codec.sqlite(field));
  }
}
