import { jsonString } from '../json-string.ts';
import { type RowJson, rowJson, rowJsonOf } from '../row-json.ts';
import type { TableRecord } from '../sink.ts';
import type { JsonFrame } from '../source.ts';
import type { Change, Position, StreamEvent } from '../stream.ts';
import type { Row, Table, TableName } from '../table.ts';

// What is told as lines of JSON, one object a line. docs/sync-ndjson.md is the contract with those who read them. Pure.

export const formatVersion = 1;

/** What ends a state that is consistent, or one that is open. */
export type Commit = {
  readonly position: Position;
  readonly committedAtMs: number | undefined;
  readonly isOpen: boolean;
};

/** The first line of a file, and the first one that a command gets. */
export function helloLine(source: string): string {
  return `${JSON.stringify({ op: 'hello', version: formatVersion, source })}\n`;
}

/** What lines of a table's rows begin with, and how its rows are told. */
type RowLines = { readonly name: string; readonly read: string; readonly insert: string; readonly json: RowJson };

const rowLines = new WeakMap<Table, RowLines>();

function rowLinesOf(table: Table): RowLines {
  const known = rowLines.get(table);
  if (known !== undefined) return known;
  const name = nameOnly(table);
  const head = (op: string): string => `{"op":"${op}","table":${name},"row":`;
  const made = { name, read: head('read'), insert: head('insert'), json: rowJsonOf(table) };
  rowLines.set(table, made);
  return made;
}

function nameJson(table: Table): string {
  return rowLinesOf(table).name;
}

function nameOnly({ schema, name }: TableName): string {
  return JSON.stringify([schema, name]);
}

export function tableLine(table: Table): string {
  const columns = table.columns.map(({ name, type }) => ({ name, type }));
  const key = table.key.map((place) => table.columns[place]?.name);
  return `{"op":"table","table":${nameJson(table)},"id":${JSON.stringify(table.id)},"columns":${JSON.stringify(columns)},"key":${JSON.stringify(key)}}\n`;
}

export function dumpLine(table: Table): string {
  return `{"op":"dump","table":${nameJson(table)}}\n`;
}

/** What stands around the JSON of a row of a dump. */
export function readFrameOf(table: Table): JsonFrame {
  return { head: rowLinesOf(table).read, tail: '}\n' };
}

/** Tells rows of a dump. */
export function readLineOf(table: Table): (row: Row) => string {
  const { read, json } = rowLinesOf(table);
  return (row) => `${read}${json(row)}}\n`;
}

export function dumpedLine(table: Table, position: Position): string {
  return `{"op":"dumped","table":${nameJson(table)},"position":${JSON.stringify(position)}}\n`;
}

export function dropLine(table: TableName): string {
  return `{"op":"drop","table":${nameOnly(table)}}\n`;
}

/** What was told since the last commit does not count. */
export const rollbackLine = '{"op":"rollback"}\n';

/** What changed of the tables' records; null for a table that is gone. `before` is where in a file the state is that it stands on. */
export function stateLine(records: ReadonlyMap<string, TableRecord | null>, before?: number): string {
  return `${JSON.stringify({ op: 'state', ...(before === undefined ? {} : { before }), tables: Object.fromEntries(records) })}\n`;
}

/** `more` are members that a file has of its own, as JSON text that begins with a comma. */
export function commitLine({ position, committedAtMs, isOpen }: Commit, more = ''): string {
  const time = committedAtMs === undefined ? '' : `,"time":"${isoTime(committedAtMs)}"`;
  return `{"op":"commit","position":${jsonString(position)}${time}${isOpen ? ',"open":true' : ''}${more}}\n`;
}

/** The second of the commit before: most transactions of a busy source have it, too. */
let lastSecond = { ms: Number.NaN, text: '' };

/** As `Date.toISOString`. */
function isoTime(ms: number): string {
  // Before 1970 it rounds the other way.
  if (ms < 0) return new Date(ms).toISOString();
  const fraction = Math.floor(ms) % 1000;
  const second = Math.floor(ms) - fraction;
  if (second !== lastSecond.ms) lastSecond = { ms: second, text: new Date(second).toISOString().slice(0, -4) };
  return `${lastSecond.text}${String(fraction).padStart(3, '0')}Z`;
}

/** A change as a line. */
export function changeLine(change: Change): string {
  switch (change.kind) {
    case 'insert': {
      const { insert, json } = rowLinesOf(change.table);
      return `${insert}${json(change.row)}}\n`;
    }
    case 'update':
      return updateLine(change);
    case 'delete':
      return deleteLine(change.table, change.old);
    case 'truncate':
      return `{"op":"truncate","tables":[${change.tables.map(nameJson).join(',')}]}\n`;
    case 'reshape':
      return tableLine(change.table);
    case 'drop':
      return dropLine(change.table);
    case 'resync':
      return `{"op":"resync","table":${nameJson(change.table)},"state":"${change.state}","scope":"${change.scope}"}\n`;
  }
}

function updateLine({ table, row, old }: Extract<StreamEvent, { kind: 'update' }>): string {
  // What the new row leaves out is known when the old one has it (Y5).
  const whole = old === undefined ? row : row.map((field, place) => (field === undefined ? old[place] : field));
  const unchanged = table.columns.flatMap(({ name }, place) => (whole[place] === undefined ? [name] : []));
  const oldText = old === undefined ? '' : `,"old":${rowJson(table, old)}`;
  const unchangedText = unchanged.length === 0 ? '' : `,"unchanged":${JSON.stringify(unchanged)}`;
  return `{"op":"update","table":${nameJson(table)},"row":${rowJson(table, whole)}${oldText}${unchangedText}}\n`;
}

/** The key of the row that is gone; of a table without one the whole row. */
function deleteLine(table: Table, old: Row): string {
  const isWhole = table.key.length === 0;
  const told = isWhole ? old : old.map((field, place) => (table.key.includes(place) ? field : undefined));
  return `{"op":"delete","table":${nameJson(table)},"key":${rowJson(table, told)}}\n`;
}
