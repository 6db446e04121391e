import type { TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';

// What a command says on its standard output. Pure.

export type Answer = {
  /** Null: it holds nothing. */
  readonly position: Position | null;
  readonly isOpen: boolean;
  /** What the `tables` of all state lines have made, the newest of each name. */
  readonly tables: ReadonlyMap<string, TableRecord>;
};

/**
 * A line such as `{"position":"…"}`; the first one may have `open` of its commit line, and `tables` of the state lines. Undefined for anything else. What a
 * command gives back is what we gave it; a record that is none counts as a table that was not dumped.
 */
export function parseAnswer(line: string): Answer | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof answer !== 'object' || answer === null || !('position' in answer)) return undefined;
  const { position } = answer;
  if (position !== null && typeof position !== 'string') return undefined;
  const tables = 'tables' in answer && typeof answer.tables === 'object' ? (answer.tables ?? {}) : {};
  const known = Object.entries(tables).filter((entry): entry is [string, TableRecord] => isRecord(entry[1]));
  return { position, isOpen: 'open' in answer && answer.open === true, tables: new Map(known) };
}

function isRecord(value: unknown): value is TableRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { id, schema, name, columns, key } = value as Partial<TableRecord>;
  const isNamed = typeof id === 'string' && typeof schema === 'string' && typeof name === 'string';
  return isNamed && Array.isArray(columns) && Array.isArray(key);
}
