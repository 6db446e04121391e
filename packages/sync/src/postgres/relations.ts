import { BatonError } from '@batondb/core/errors';
import type { KnownShape, KnownTables } from '../source.ts';
import type { Change, Drop } from '../stream.ts';
import { nameOf, type Table, type TableName } from '../table.ts';
import type { PublishedTable, RelationDescription } from './catalog.ts';
import type { RelationMessage } from './pgoutput-messages.ts';
import type { Lsn } from './position.ts';
import type { StreamedDescription } from './relation-description.ts';
import type { RowTrace } from './row-trace.ts';
import { compareShapes } from './shapes.ts';

// Which shape every table has where the stream is now, and what has to be told when it changes. The stream's own Relation messages come before the first change
// of a table; what nobody writes to is noticed in the catalog, and told when the stream has passed the place at which it was noticed.

export type RelationsContext = {
  /** Asks the catalog about what a message describes. */
  readonly describe: (message: RelationMessage, before: Table | undefined) => Promise<StreamedDescription>;
  readonly known: KnownTables;
  /** By `Table.id`: what was published before the stream began. */
  readonly published: ReadonlyMap<string, PublishedTable>;
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
  /** As the catalog had it then, or at a look since. */
  trace: RowTrace | undefined;
};

type Notice = {
  readonly lsn: Lsn;
  readonly id: string;
  /** Entries change only in the stream: a notice about an older one is out of date. */
  readonly entry: Entry | undefined;
  /** Undefined: it is no more. */
  readonly description: RelationDescription | undefined;
  /** Rows have come or gone in a way that the stream does not tell. */
  readonly areRowsOther: boolean;
};

export class RelationBook {
  readonly #context: RelationsContext;
  readonly #byId = new Map<string, Entry>();
  /** Those whose changes may come without another word. */
  readonly #tables = new Map<number, Table>();
  readonly #heard = new Map<number, RelationMessage>();
  /** Tables of which nobody knows any more what told their rows apart, and that are no more, or will be read anew: what the stream still has of them is nothing to a sink. */
  readonly #past = new Set<number>();
  #notices: Notice[] = [];

  constructor(context: RelationsContext) {
    this.#context = context;
    for (const [id, shape] of context.known.shapes) {
      this.#byId.set(id, { table: undefined, shape, trace: context.published.get(id)?.trace });
    }
  }

  /** The shape of a relation for the changes that come now; undefined: {@link settle} finds it. */
  get(oid: number): Table | undefined {
    return this.#tables.get(oid);
  }

  /** A Relation message. It means nothing by itself: those of partitions come, too, whose changes are told as their root's. */
  heard(message: RelationMessage): void {
    this.#heard.set(message.relation, { ...message, xid: undefined });
    this.#tables.delete(message.relation);
    this.#past.delete(message.relation);
  }

  /** The first change of a relation since a message told of it: what that means for the sink. {@link get} then knows it, unless it is past. Throws PROTOCOL when no message did. */
  async settle(oid: number): Promise<readonly Change[]> {
    if (this.#past.has(oid)) return [];
    const message = this.#heard.get(oid);
    if (message === undefined)
      throw new BatonError('PROTOCOL', `a change of relation ${oid} came before its description`);
    // Also when it says the same as before: the server says it again when something about the table has changed, and names and types do not show all of it.
    const description = await this.#context.describe(message, this.#byId.get(String(oid))?.table);
    const { table, trace, isKeyedNow } = description;
    const isPast = trace === undefined || (isKeyedNow && this.#context.known.needsKeys);
    if (table.key.length > 0 || !isPast) return this.#adopt(description, false);
    this.#past.add(oid);
    return this.#drop(String(oid));
  }

  /**
   * The catalog has it so at `lsn`; undefined: it is no more. Returns false when it cannot be taken now, since an earlier one about this table waits.
   */
  notice(lsn: Lsn, id: string, description: RelationDescription | undefined, areRowsOther = false): boolean {
    if (this.#notices.some((notice) => notice.id === id)) return false;
    const entry = this.#byId.get(id);
    const isNews = description === undefined ? entry !== undefined : entry === undefined || differs(entry, description);
    if (isNews || areRowsOther) this.#notices.push({ lsn, id, entry, description, areRowsOther });
    else if (entry !== undefined) entry.trace = description?.trace;
    return true;
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
    return due.flatMap(({ id, entry, description, areRowsOther }) => {
      const present = this.#byId.get(id);
      if (description === undefined) return present === entry ? this.#drop(id) : [];
      if (present === entry) return this.#adopt(description, areRowsOther);
      return areRowsOther && present?.table !== undefined ? [...this.#context.resync(present.table)] : [];
    });
  }

  /** Ids of the tables that are known, with their names. */
  ids(): ReadonlyMap<string, TableName> {
    return new Map([...this.#byId].map(([id, { shape }]) => [id, shape]));
  }

  #adopt(description: RelationDescription, areRowsOther: boolean): Change[] {
    const { table, trace } = description;
    const before = this.#byId.get(table.id);
    this.#byId.set(table.id, { table, shape: table, trace });
    this.#tables.set(Number(table.id), table);
    const changes: Change[] = [];
    // Another table had this name: it was dropped or renamed, which the stream does not say by itself.
    for (const [id, { shape }] of [...this.#byId]) {
      if (id !== table.id && nameOf(shape) === nameOf(table)) changes.push(...this.#drop(id));
    }
    if (before === undefined && this.#context.unwanted.has(table.id)) return changes;
    if (before === undefined) return [...changes, { kind: 'reshape', table }, ...this.#context.resync(table)];
    const isRenamed = nameOf(before.shape) !== nameOf(table);
    const change = compareShapes(before.table ?? before.shape, description, before.trace);
    if (!isRenamed && change === 'none') return areRowsOther ? [...changes, ...this.#context.resync(table)] : changes;
    // Rows under other names or keys have to go before they come anew.
    if (isRenamed || change === 'key') changes.push(dropOf(table.id, before.shape));
    changes.push({ kind: 'reshape', table });
    const areRowsRight = change === 'columns' && !areRowsOther && !isRenamed && !this.#context.known.rowsNameColumns;
    if (!areRowsRight) return [...changes, ...this.#context.resync(table)];
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

function differs({ table, shape, trace }: Entry, description: RelationDescription): boolean {
  return nameOf(shape) !== nameOf(description.table) || compareShapes(table ?? shape, description, trace) !== 'none';
}

function dropOf(id: string, { schema, name }: TableName): Drop {
  return { kind: 'drop', table: { id, schema, name, columns: [], key: [], hasWholeOldRows: false } };
}
