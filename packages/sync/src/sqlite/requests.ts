import type { LoadResult, TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import type { TableName } from '../table.ts';
import type { KeyPage } from './key-pages.ts';
import type { Shape } from './shape.ts';
import type { KnownValue, Value } from './writer.ts';

// What goes to the writer's thread and what comes back. Rows go as flat arrays: they cost a third of what arrays of arrays do.

/** A change in `Changes.operations` is two numbers: its kind, and the number of its shape or the place in `structure`. */
export const operations = { insert: 0, update: 1, updateWithOld: 2, delete: 3, structure: 4 } as const;

/** Changes that are no rows. */
export type StructureChange =
  | { readonly kind: 'truncate'; readonly shapes: readonly Shape[] }
  | { readonly kind: 'reshape'; readonly shape: Shape }
  | { readonly kind: 'drop'; readonly shape: Shape }
  | {
      readonly kind: 'resync';
      readonly shape: Shape;
      readonly state: 'begin' | 'end';
      readonly scope: 'table' | 'keys';
    };

/** A group of events. */
export type Changes = {
  /** Shapes that come for the first time, each with the number that operations name it by. */
  readonly shapes: readonly { readonly number: number; readonly shape: Shape }[];
  readonly operations: readonly number[];
  /** Fields of the rows, one after the other. */
  readonly fields: readonly Value[];
  readonly structure: readonly StructureChange[];
  /** What was touched, as `touched.ts` remembers it. */
  readonly touched: string;
  /** Undefined: the transaction goes on in the next group. */
  readonly end: { readonly position: Position; readonly isOpen: boolean } | undefined;
};

/** By name: what is asked of the thread, and what it answers. */
export type Calls = {
  begin: {
    request: { readonly position: Position; readonly shapes: readonly Shape[]; readonly isDumped: boolean };
    reply: TablesReply;
  };
  loadBegin: { request: { readonly number: number; readonly shape: Shape }; reply: TablesReply };
  loadWrite: { request: { readonly number: number; readonly fields: readonly KnownValue[] }; reply: undefined };
  loadFinish: {
    request: { readonly number: number; readonly dumpedAt: Position };
    reply: TablesReply & { readonly result: LoadResult };
  };
  loadAbandon: { request: { readonly number: number }; reply: undefined };
  /** Tables are there when a change of this transaction has changed what is remembered of them. */
  apply: { request: Changes; reply: TablesReply | undefined };
  /** What was applied of a transaction that was not told to its end is undone. */
  rollBack: { request: undefined; reply: undefined };
  /** `after` is the number of the last row of the page before. */
  keys: {
    request: { readonly shape: Shape; readonly after: bigint | undefined };
    reply: KeyPage;
  };
  /** Entries of what was touched, the newest first. */
  touched: {
    request: { readonly before: number | undefined };
    reply: readonly { readonly number: number; readonly position: Position | null; readonly keys: string }[];
  };
  rewind: {
    request: { readonly position: Position; readonly tables: readonly TableName[] };
    reply: TablesReply;
  };
  close: { request: undefined; reply: undefined };
};

export type TablesReply = { readonly tables: readonly TableRecord[] };
export type CallName = keyof Calls;

export type Request = {
  [K in CallName]: { readonly number: number; readonly call: K; readonly request: Calls[K]['request'] };
}[CallName];
