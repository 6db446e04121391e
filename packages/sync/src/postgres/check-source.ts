import { formatBytes } from '@batondb/core/text/format';
import type { Finding } from '../finding.ts';
import { nameOf, type TableName } from '../table.ts';
import type { ServerFacts, UserTable } from './server-facts.ts';
import { isUnbounded, unidentified } from './setup-plan.ts';
import { faultOf } from './slot.ts';
import { serverVersionMin } from './source.ts';

// What stands in the way of a sync, or will. Pure.

export type CheckWish = {
  readonly slot: string;
  readonly publications: readonly string[];
  readonly includes: (name: TableName) => boolean;
};

/** Findings in the order in which a person would mend them. What is in order is said, too. */
export function checkSource(facts: ServerFacts, wish: CheckWish): readonly Finding[] {
  return [
    checkVersion(facts),
    checkWalLevel(facts),
    checkPrivilege(facts),
    ...checkRoom(facts),
    checkBound(facts),
    checkSlot(facts, wish),
    ...checkPublications(facts, wish),
    ...checkTables(facts, wish),
    ...checkTiming(facts),
    ...checkFailover(facts, wish),
  ];
}

function checkVersion({ serverVersion }: ServerFacts): Finding {
  const is = `PostgreSQL ${Math.floor(serverVersion / 10_000)}`;
  const needed = 'PostgreSQL 13 or newer; from 14 on large transactions cost the server no files';
  if (serverVersion < serverVersionMin)
    return { severity: 'error', what: 'version', is, needed, nextStep: 'upgrade the server' };
  return { severity: 'ok', what: 'version', is, needed };
}

function checkWalLevel({ settings }: ServerFacts): Finding {
  const is = settings.get('wal_level') ?? '';
  if (is === 'logical') return { severity: 'ok', what: 'wal_level', is, needed: 'logical' };
  return {
    severity: 'error',
    what: 'wal_level',
    is,
    needed: 'logical',
    nextStep: 'ALTER SYSTEM SET wal_level = logical, and restart the server',
  };
}

function checkPrivilege({ user, mayReplicate }: ServerFacts): Finding {
  const found = { what: 'the role', needed: 'REPLICATION' };
  if (mayReplicate) return { ...found, severity: 'ok', is: `${user} has REPLICATION` };
  return {
    ...found,
    severity: 'error',
    is: `${user} has no REPLICATION`,
    nextStep: `ALTER ROLE "${user}" REPLICATION`,
  };
}

/** A sync has one connection of replication, and one more while a dump begins, whose slot is temporary. */
function checkRoom({ settings, slotsUsed, sendersUsed, slot }: ServerFacts): Finding[] {
  const slotsWanted = slot === undefined ? 2 : 1;
  const room = (name: string, used: number, wanted: number): Finding => {
    const free = Number(settings.get(name) ?? 0) - used;
    const found = { what: name, is: `${free} free of ${settings.get(name)}`, needed: `${wanted} free` };
    if (free >= wanted) return { ...found, severity: 'ok' };
    return {
      ...found,
      severity: 'error',
      nextStep: `raise ${name} and restart the server, or drop slots that nobody reads`,
    };
  };
  return [room('max_replication_slots', slotsUsed, slotsWanted), room('max_wal_senders', sendersUsed, 2)];
}

function checkBound(facts: ServerFacts): Finding {
  const found = { what: 'max_slot_wal_keep_size', needed: 'a bound below the free space of the disk that has pg_wal' };
  if (!isUnbounded(facts))
    return { ...found, severity: 'ok', is: formatBytes(Number(facts.settings.get('max_slot_wal_keep_size') ?? 0)) };
  const nextStep =
    "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB', and SELECT pg_reload_conf(); or run with --abandon-slot-at 50GB";
  return { ...found, severity: 'warning', is: 'no bound: a sync that stands still fills the disk', nextStep };
}

function checkSlot({ slot, database }: ServerFacts, { slot: name }: CheckWish): Finding {
  const found = { what: `the slot "${name}"`, needed: `a slot of pgoutput in the database "${database}"` };
  if (slot === undefined) return { ...found, severity: 'error', is: 'missing', nextStep: 'baton sync setup' };
  const fault = faultOf(slot, name, database);
  if (fault !== undefined)
    return { ...found, severity: 'error', is: fault, nextStep: 'baton sync drop --yes, then baton sync setup' };
  const retained = `keeps ${formatBytes(slot.retainedBytes)}`;
  if (slot.walStatus === 'unreserved') {
    return {
      ...found,
      severity: 'error',
      is: `${retained}, and may be lost at the next checkpoint`,
      nextStep: 'let the sync run, or raise max_slot_wal_keep_size',
    };
  }
  if (slot.activePid !== undefined) {
    return {
      ...found,
      severity: 'warning',
      is: `read by process ${slot.activePid} now; ${retained}`,
      nextStep: 'only one sync may read it',
    };
  }
  return {
    ...found,
    severity: 'ok',
    is: slot.safeBytes === undefined ? retained : `${retained}, and may keep ${formatBytes(slot.safeBytes)} more`,
  };
}

function checkPublications({ publications }: ServerFacts, wish: CheckWish): Finding[] {
  return wish.publications.flatMap((name): Finding[] => {
    const found = { what: `the publication "${name}"`, needed: 'tables, with all of their changes' };
    const publication = publications.find((each) => each.name === name);
    if (publication === undefined)
      return [{ ...found, severity: 'error', is: 'missing', nextStep: 'baton sync setup' }];
    if (publication.tables.length === 0)
      return [
        { ...found, severity: 'error', is: 'has no tables', nextStep: `ALTER PUBLICATION "${name}" ADD TABLE …` },
      ];
    const left = Object.entries(publication.operations).filter(([, isPublished]) => !isPublished);
    if (left.length > 0) {
      const is = `leaves out ${left.map(([operation]) => operation).join(', ')}`;
      return [
        {
          ...found,
          severity: 'error',
          is,
          nextStep: `ALTER PUBLICATION "${name}" SET (publish = 'insert, update, delete, truncate')`,
        },
      ];
    }
    return [{ ...found, severity: 'ok', is: `${publication.tables.length} tables` }];
  });
}

function checkTables({ publications, tables, user }: ServerFacts, { includes }: CheckWish): Finding[] {
  const published = new Set(publications.flatMap((publication) => publication.tables.map(nameOf)));
  const isForAll = publications.some(({ isForAllTables }) => isForAllTables);
  const concerned = tables.filter((table) => includes(table) && published.has(nameOf(table)));
  const unknown = unidentified(tables.filter((table) => isForAll || published.has(nameOf(table))));
  const unreadable = concerned.filter(({ isReadable }) => !isReadable);
  return [
    ...unknown.map((table): Finding => unidentifiedFinding(table)),
    ...unreadable.map(
      (table): Finding => ({
        severity: 'error',
        what: nameOf(table),
        is: `${user} may not read it`,
        needed: 'SELECT, for dumps',
        nextStep: `GRANT USAGE ON SCHEMA "${table.schema}" TO "${user}"; GRANT SELECT ON "${table.schema}"."${table.name}" TO "${user}"`,
      }),
    ),
    ...concerned
      .filter(({ hasPrimaryKey, identity }) => !hasPrimaryKey && identity === 'full')
      .map(
        (table): Finding => ({
          severity: 'warning',
          what: nameOf(table),
          is: 'without a primary key: its rows are told apart by all of their values',
          needed: 'a primary key; a sink without one keeps such a table only as lines',
          nextStep: 'give it a primary key, or leave it out with --exclude',
        }),
      ),
  ];
}

function unidentifiedFinding(table: UserTable): Finding {
  return {
    severity: 'error',
    what: nameOf(table),
    is: 'published without a replica identity: the application cannot update or delete its rows',
    needed: 'a primary key, or REPLICA IDENTITY FULL',
    nextStep: `ALTER TABLE "${table.schema}"."${table.name}" REPLICA IDENTITY FULL`,
  };
}

const slowTransactionSeconds = 60;
const senderTimeoutMsMin = 5_000;

function checkTiming({ settings, oldestTransactionSeconds: oldest }: ServerFacts): Finding[] {
  const timeout = Number(settings.get('wal_sender_timeout') ?? 0);
  const found = {
    what: 'wal_sender_timeout',
    is: timeout === 0 ? 'none' : `${timeout} ms`,
    needed: '5 s or more; we report every second',
  };
  const findings: Finding[] = [
    timeout !== 0 && timeout < senderTimeoutMsMin
      ? { ...found, severity: 'warning', nextStep: "ALTER SYSTEM SET wal_sender_timeout = '60s'" }
      : { ...found, severity: 'ok' },
  ];
  if (oldest !== undefined && oldest > slowTransactionSeconds) {
    findings.push({
      severity: 'warning',
      what: 'open transactions',
      is: `the oldest has been writing for ${Math.round(oldest)} s`,
      needed: 'none: a new slot and a dump wait for its end',
      nextStep: 'look at pg_stat_activity, and end it if nobody needs it',
    });
  }
  return findings;
}

/** What keeps a slot through a failover. */
function checkFailover({ settings, serverVersion, isPatroni }: ServerFacts, { slot }: CheckWish): Finding[] {
  if (isPatroni) {
    const is = `hot_standby_feedback is ${settings.get('hot_standby_feedback')}`;
    const found = { what: 'Patroni', is, needed: `hot_standby_feedback on, and "${slot}" among its permanent slots` };
    const isOn = settings.get('hot_standby_feedback') === 'on';
    return [
      isOn ? { ...found, severity: 'ok' } : { ...found, severity: 'warning', nextStep: 'patronictl edit-config' },
    ];
  }
  if (serverVersion < 170_000) return [];
  const standbys = settings.get('synchronized_standby_slots') ?? '';
  const found = {
    what: 'synchronized_standby_slots',
    is: standbys === '' ? 'empty' : standbys,
    needed: 'the slots of standbys that may be promoted',
  };
  if (standbys !== '') return [{ ...found, severity: 'ok' }];
  return [
    { ...found, severity: 'warning', nextStep: 'name them, so that a failover loses nothing that a sink already has' },
  ];
}
