import { BatonError } from '@batondb/core/errors';
import type { KnownShape } from '../source.ts';
import type { Change, Drop } from '../stream.ts';
import { nameOf, type Table, type TableName } from '../table.ts';
import type { RelationDescription } from './catalog.ts';
import type { RelationMessage } from './pgoutput-messages.ts';
import type { Lsn } from './position.ts';
import { compareShapes } from './shapes.ts';

// Which shape every table has where the stream is now, and what has to be told when it changes. The stream's own Relation messages come before the first change
// of a table; what nobody writes to is noticed in the catalog, and told when the stream has passed the place at which it was noticed.

export type RelationsContext = {
  /** Asks the catalog about what a message describes. */
  readonly describe: (message: RelationMessage, before: Table | undefined) => Promise<RelationDescription>;
  /** By `Table.id`: what the sink has. */
  readonly known: ReadonlyMap<string, KnownShape>;
  /** Ids of tables that are published, and that the sink does not want: that they are not known is no news. */
  readonly unwanted: ReadonlySet<string>;
  /** Reads a table anew from here on; what the stream has to say of it at once. */
  readonly resync: (table: Table) => readonly Change[];
  /** Rows of it that wait to be told have to be of this shape. */
  readonly reshaped: (table: Table) => void;
  /** A table is no more under this id and name. */
  readonly forget: (id: string) => void;
};

type Entry = {
  /** Undefined: only the sink's shape of it is known so far. */
  readonly table: Table | undefined;
  readonly shape: KnownShape | Table;
  /** The message that told of it last. */
  readonly signature: string | undefined;
};

type Notice = {
  readonly lsn: Lsn;
  readonly id: string;
  /** Entries change only in the stream: a notice about an older one is out of date. */
  readonly entry: Entry | undefined;
  /** Undefined: it is no more. */
  readonly description: RelationDescription | undefined;
};

export class RelationBook {
  readonly #context: RelationsContext;
  readonly #byId = new Map<string, Entry>();
  readonly #tables = new Map<number, Table>();
  #notices: Notice[] = [];

  constructor(context: RelationsContext) {
    this.#context = context;
    for (const [id, shape] of context.known) this.#byId.set(id, { table: undefined, shape, signature: undefined });
  }

  /** The shape of a relation for the changes that come now. Throws PROTOCOL when no message has told of it. */
  get(oid: number): Table {
    const table = this.#tables.get(oid);
    if (table === undefined)
      throw new BatonError('PROTOCOL', `a change of relation ${oid} came before its description`);
    return table;
  }

  /** What a Relation message means for the sink. */
  async learn(message: RelationMessage): Promise<readonly Change[]> {
    const { xid: _, ...described } = message;
    const signature = JSON.stringify(described);
    const before = this.#byId.get(String(message.relation));
    if (before?.signature === signature && before.table !== undefined) {
      this.#tables.set(message.relation, before.table);
      return [];
    }
    return this.#adopt(await this.#context.describe(message, before?.table), signature);
  }

  /** The catalog has it so at `lsn`. Undefined: it is no more. */
  notice(lsn: Lsn, id: string, description: RelationDescription | undefined): void {
    if (this.#notices.some((notice) => notice.id === id)) return;
    const entry = this.#byId.get(id);
    const isNews = description === undefined ? entry !== undefined : entry === undefined || differs(entry, description);
    if (isNews) this.#notices.push({ lsn, id, entry, description });
  }

  /** Something waits for the stream to come to its place. */
  get isWaiting(): boolean {
    return this.#notices.length > 0;
  }

  /** What was noticed up to here, to be told between two transactions. */
  due(lsn: Lsn): Change[] {
    if (this.#notices.length === 0) return [];
    const due = this.#notices.filter((notice) => notice.lsn <= lsn);
    this.#notices = this.#notices.filter((notice) => notice.lsn > lsn);
    return due.flatMap(({ id, entry, description }) => {
      if (this.#byId.get(id) !== entry) return [];
      return description === undefined ? this.#drop(id) : this.#adopt(description, undefined);
    });
  }

  /** Ids of the tables that are known, with their names. */
  ids(): ReadonlyMap<string, TableName> {
    return new Map([...this.#byId].map(([id, { shape }]) => [id, shape]));
  }

  #adopt(description: RelationDescription, signature: string | undefined): Change[] {
    const { table } = description;
    const before = this.#byId.get(table.id);
    this.#byId.set(table.id, { table, shape: table, signature });
    this.#tables.set(Number(table.id), table);
    const changes: Change[] = [];
    // Another table had this name: it was dropped or renamed, which the stream does not say by itself.
    for (const [id, { shape }] of [...this.#byId]) {
      if (id !== table.id && nameOf(shape) === nameOf(table)) changes.push(...this.#drop(id));
    }
    if (before === undefined && this.#context.unwanted.has(table.id)) return changes;
    if (before === undefined) return [...changes, { kind: 'reshape', table }, ...this.#context.resync(table)];
    const isRenamed = nameOf(before.shape) !== nameOf(table);
    const change = compareShapes(before.table ?? before.shape, description);
    if (!isRenamed && change === 'none') return changes;
    // Rows under other names or keys have to go before they come anew.
    if (isRenamed || change === 'key') changes.push(dropOf(table.id, before.shape));
    changes.push({ kind: 'reshape', table });
    if (isRenamed || change !== 'columns') return [...changes, ...this.#context.resync(table)];
    this.#context.reshaped(table);
    return changes;
  }

  #drop(id: string): Change[] {
    const entry = this.#byId.get(id);
    this.#byId.delete(id);
    this.#tables.delete(Number(id));
    this.#context.forget(id);
    return entry === undefined ? [] : [dropOf(id, entry.shape)];
  }
}

function differs({ table, shape }: Entry, description: RelationDescription): boolean {
  return nameOf(shape) !== nameOf(description.table) || compareShapes(table ?? shape, description) !== 'none';
}

function dropOf(id: string, { schema, name }: TableName): Drop {
  return { kind: 'drop', table: { id, schema, name, columns: [], key: [], hasWholeOldRows: false } };
}
