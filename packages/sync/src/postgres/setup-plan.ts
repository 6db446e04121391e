import { BatonError } from '@batondb/core/errors';
import { nameOf, type TableName } from '../table.ts';
import type { ServerFacts, UserTable } from './server-facts.ts';
import { quoteName, quoteTable, quoteText } from './sql.ts';

// Which statements make a publication and a slot. Pure: what is printed is what is run.

export type SetupWish = {
  readonly slot: string;
  readonly publication: string;
  /** Schemas that are published whole, with tables that come later. Empty: tables are chosen by `includes`. */
  readonly schemas: readonly string[];
  /** Undefined: all tables, with those that come later. */
  readonly includes: ((name: TableName) => boolean) | undefined;
  /** Columns of a table; undefined: all. */
  readonly columnsOf: (name: TableName) => readonly string[] | undefined;
  /** Rows of a table, as SQL; undefined: all. */
  readonly filterOf: (name: TableName) => string | undefined;
  /** A slot that is not read may fill the server's disk. */
  readonly allowsUnboundedSlot: boolean;
};

export type Statement = {
  readonly sql: string;
  /** For people: why. */
  readonly why: string;
};

export type SetupPlan = {
  readonly statements: readonly Statement[];
  /** What a person should know beside. */
  readonly notes: readonly string[];
};

/** Throws USAGE for what must not be done: it would break the application's own writes, or fill its disk. */
export function planSetup(facts: ServerFacts, wish: SetupWish): SetupPlan {
  if (facts.settings.get('wal_level') !== 'logical') {
    throw new BatonError(
      'USAGE',
      `wal_level is ${facts.settings.get('wal_level')}, and logical replication needs logical`,
      {
        hint: 'ALTER SYSTEM SET wal_level = logical, and restart the server (with Patroni: edit-config, then restart)',
      },
    );
  }
  if (facts.slot === undefined && !wish.allowsUnboundedSlot && isUnbounded(facts)) {
    throw new BatonError(
      'USAGE',
      'max_slot_wal_keep_size is -1: a slot that nobody reads would keep log until the disk of the server is full',
      {
        hint: 'ALTER SYSTEM SET max_slot_wal_keep_size = $$50GB$$ and SELECT pg_reload_conf(), or say --allow-unbounded-slot',
      },
    );
  }
  const publication = planPublication(facts, wish);
  const slot =
    facts.slot === undefined
      ? [slotStatement(facts, wish.slot)]
      : publication.statements.length > 0
        ? [advanceStatement(wish.slot)]
        : [];
  return {
    statements: [...publication.statements, ...slot],
    notes: [
      ...publication.notes,
      ...(facts.slot === undefined ? [] : [`the slot ${quoteName(wish.slot)} is there already`]),
    ],
  };
}

/** With Patroni the slot is often there first. What was written before the publication cannot be read by it: the server then says that there is none. */
function advanceStatement(slot: string): Statement {
  return {
    sql: `SELECT pg_replication_slot_advance(${quoteText(slot)}, pg_current_wal_lsn())`,
    why: 'the slot is older than the publication, and can be read only from there on',
  };
}

/** What removes both again. */
export function planDrop(
  facts: ServerFacts,
  { slot, publication }: Pick<SetupWish, 'slot' | 'publication'>,
): readonly Statement[] {
  const hasPublication = facts.publications.some(({ name }) => name === publication);
  return [
    ...(facts.slot === undefined
      ? []
      : [{ sql: `SELECT pg_drop_replication_slot(${quoteText(slot)})`, why: 'the server keeps no more log for it' }]),
    ...(hasPublication ? [{ sql: `DROP PUBLICATION ${quoteName(publication)}`, why: 'nobody reads it any more' }] : []),
  ];
}

export function isUnbounded({ settings }: ServerFacts): boolean {
  return settings.get('max_slot_wal_keep_size') === '-1';
}

/** Tables of which updates and deletes would fail in the application as soon as they are published. */
export function unidentified(tables: readonly UserTable[]): readonly UserTable[] {
  return tables.filter(
    ({ isIdentified, isPublishable, kind }) => isPublishable && !isIdentified && kind !== 'partitioned',
  );
}

function planPublication(facts: ServerFacts, wish: SetupWish): SetupPlan {
  const found = facts.publications.find(({ name }) => name === wish.publication);
  if (found !== undefined)
    return {
      statements: [],
      notes: [`the publication ${quoteName(wish.publication)} is there already, with ${found.tables.length} tables`],
    };
  const chosen = chooseTables(facts, wish);
  refuseUnidentified(chosen);
  const { clause, notes } = describeChoice(facts, wish, chosen);
  const sql = `CREATE PUBLICATION ${quoteName(wish.publication)} ${clause} WITH (publish_via_partition_root = true)`;
  return { statements: [{ sql, why: 'which tables are told of, partitions as their root' }], notes };
}

function chooseTables({ tables }: ServerFacts, { schemas, includes }: SetupWish): readonly UserTable[] {
  const wanted = tables.filter(
    (table) => (schemas.length === 0 || schemas.includes(table.schema)) && (includes?.(table) ?? true),
  );
  const missing = schemas.find((schema) => !tables.some((table) => table.schema === schema));
  if (missing !== undefined) throw new BatonError('NOT_FOUND', `no table is in the schema ${quoteName(missing)}`);
  return wanted;
}

function refuseUnidentified(chosen: readonly UserTable[]): void {
  const [first, ...others] = unidentified(chosen);
  if (first === undefined) return;
  const also = others.length === 0 ? '' : ` and ${others.length} more (${others.slice(0, 10).map(nameOf).join(', ')})`;
  throw new BatonError(
    'USAGE',
    `${nameOf(first)}${also} has no replica identity: when it is published, its updates and deletes fail in the application`,
    {
      hint: `give it a primary key, or ALTER TABLE ${quoteTable(first)} REPLICA IDENTITY FULL, or leave it out with --exclude`,
    },
  );
}

function describeChoice(
  facts: ServerFacts,
  wish: SetupWish,
  chosen: readonly UserTable[],
): { clause: string; notes: readonly string[] } {
  const hasDetails = chosen.some((table) => wish.columnsOf(table) !== undefined || wish.filterOf(table) !== undefined);
  if (hasDetails && facts.serverVersion < 150_000) {
    throw new BatonError('USAGE', 'columns and rows of a publication can be chosen from PostgreSQL 15 on', {
      hint: 'leave --columns to the sync, which takes them from what it gets',
    });
  }
  const isWhole = wish.includes === undefined && !hasDetails;
  if (isWhole && wish.schemas.length === 0 && facts.isSuperuser) return { clause: 'FOR ALL TABLES', notes: [] };
  if (isWhole && wish.schemas.length > 0 && facts.isSuperuser && facts.serverVersion >= 150_000) {
    return { clause: `FOR TABLES IN SCHEMA ${wish.schemas.map(quoteName).join(', ')}`, notes: [] };
  }
  const list = chosen.filter(({ kind, isPublishable }) => kind !== 'partition' && isPublishable);
  if (list.length === 0) throw new BatonError('NOT_FOUND', 'no table fits what is to be published');
  const note = 'tables that are created later are not in it: ALTER PUBLICATION … ADD TABLE takes them in';
  return { clause: `FOR TABLE ${list.map((table) => tableClause(table, wish)).join(', ')}`, notes: [note] };
}

function tableClause(table: UserTable, { columnsOf, filterOf }: SetupWish): string {
  const columns = columnsOf(table);
  const filter = filterOf(table);
  const unknown = columns?.find((column) => !table.columns.includes(column));
  if (unknown !== undefined) throw new BatonError('USAGE', `${nameOf(table)} has no column ${quoteName(unknown)}`);
  return `${quoteTable(table)}${columns === undefined ? '' : ` (${columns.map(quoteName).join(', ')})`}${filter === undefined ? '' : ` WHERE (${filter})`}`;
}

/** From 17 on a standby keeps a copy of it, if it is told to. */
function slotStatement({ serverVersion }: ServerFacts, slot: string): Statement {
  const failover = serverVersion >= 170_000 ? ', failover => true' : '';
  return {
    sql: `SELECT pg_create_logical_replication_slot(${quoteText(slot)}, 'pgoutput'${failover})`,
    why: 'from here on the server keeps what has not been read',
  };
}
