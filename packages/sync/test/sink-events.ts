import type { Change, Position, Row, StreamEvent, Table } from '@batondb/sync';
import type { Random } from '@batondb/testbed/random';
import type { SinkModel } from './sink-model.ts';
import { sinkTable } from './sink-tables.ts';

// A stream such as a busy database has, at random: every kind of change, each one possible where it stands.

export const startingTables: readonly Table[] = [
  sinkTable('a', ['id', 'x', 'y']),
  sinkTable('two', ['id', 'name', 'x'], { key: [1, 0] }),
  sinkTable('none', ['id', 'x'], { key: [], hasWholeOldRows: true }),
  sinkTable('full', ['id', 'x'], { schema: 'other', hasWholeOldRows: true }),
];

export type RandomTransaction = { readonly position: Position; readonly events: readonly StreamEvent[] };

/** Transactions with positions of their own; the model has been led through all of them. */
export function randomStream(
  random: Random,
  model: SinkModel,
  { count, hasRenames }: { readonly count: number; readonly hasRenames: boolean },
): readonly RandomTransaction[] {
  return Array.from({ length: count }, (_, number) => {
    const position = `${number + 1}`;
    const events: StreamEvent[] = [];
    const tell = (event: StreamEvent): void => {
      events.push(event);
      model.apply(event);
    };
    if (random.integer(0, 9) === 0) {
      tell({ kind: 'reached', position });
      return { position, events };
    }
    tell({ kind: 'begin', transaction: position, commitsAt: position, committedAtMs: undefined });
    for (let left = random.integer(0, 12); left > 0; left--) tell(randomChange(random, model, hasRenames));
    tell({ kind: 'commit', position, committedAtMs: random.integer(0, 1) === 0 ? undefined : number });
    return { position, events };
  });
}

function randomChange(random: Random, model: SinkModel, hasRenames: boolean): Change {
  const table = random.pick(model.tables);
  const rows = model.rowsOf(table);
  const kind = random.integer(0, 29);
  if (kind === 0) return { kind: 'truncate', tables: random.integer(0, 1) === 0 ? [table] : model.tables };
  if (kind === 1) return { kind: 'reshape', table: reshaped(random, table, hasRenames) };
  if (kind === 2) return { kind: 'reshape', table: sinkTable(`t${random.word()}`, ['id', 'x']) };
  if (kind === 3 && model.tables.length > 3) return { kind: 'drop', table };
  if (kind < 14 || rows.length === 0) return { kind: 'insert', table, row: randomRow(random, table) };
  const old = random.pick(rows);
  const told = table.hasWholeOldRows ? old : keyOnly(table, old);
  if (kind < 19) return { kind: 'delete', table, old: told };
  return randomUpdate(random, table, { old, told, rows });
}

function randomUpdate(
  random: Random,
  table: Table,
  { old, told, rows }: { readonly old: Row; readonly told: Row; readonly rows: readonly Row[] },
): Change {
  const keeps = random.integer(0, 2) > 0;
  const row = randomRow(random, table).map((field, place) => {
    if (table.key.includes(place) && keeps) return old[place];
    // What was not sent again. The old row may have it, and the sink has it.
    return !table.key.includes(place) && random.integer(0, 3) === 0 ? undefined : field;
  });
  const isMoved = table.key.some((place) => row[place] !== old[place]);
  // The source would not have two rows of one key.
  if (isMoved && rows.some((other) => table.key.every((place) => other[place] === row[place]))) {
    return { kind: 'delete', table, old: told };
  }
  return { kind: 'update', table, row, ...(isMoved || table.hasWholeOldRows ? { old: told } : {}) };
}

function randomRow(random: Random, table: Table): Row {
  return table.columns.map(({ codec }, place) => {
    if (codec.kind === 'integer') return String(random.integer(0, 12));
    if (!table.key.includes(place) && random.integer(0, 3) === 0) return null;
    return random.pick(['', 'ä', '/', '%', 'it\'s "so"', 'line\nfeed', 'x'.repeat(random.integer(0, 300))]);
  });
}

function reshaped(random: Random, table: Table, hasRenames: boolean): Table {
  const kind = random.integer(0, 3);
  if (kind === 0 && hasRenames) return { ...table, name: `renamed${random.word()}` };
  const isKey = (place: number): boolean => table.key.includes(place);
  const removable = [...table.columns.keys()].filter((place) => !isKey(place) && place > 0);
  if (kind === 1 && removable.length > 1) {
    const gone = random.pick(removable);
    return {
      ...table,
      columns: table.columns.filter((_, place) => place !== gone),
      key: table.key.map((place) => (place > gone ? place - 1 : place)),
    };
  }
  const { codec } = sinkTable('', ['id', 'x']).columns[1]!;
  const added = { name: `c${random.word()}`, type: 'text', isNullable: true, codec };
  return { ...table, columns: [...table.columns, added] };
}

function keyOnly(table: Table, row: Row): Row {
  return row.map((field, place) => (table.key.includes(place) ? field : undefined));
}
