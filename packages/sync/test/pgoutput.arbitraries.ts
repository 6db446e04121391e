import fc from 'fast-check';
import type { PgoutputMessage } from '../src/postgres/pgoutput-messages.ts';

// Messages of pgoutput, all kinds, with texts of any length and any characters but the zero that PostgreSQL cannot have.

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const lsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const timeMs = fc.integer({ min: 0, max: 4_000_000_000_000 });
const text = fc.oneof(
  fc.string({ unit: 'binary' }).map((one) => one.replaceAll('\0', '')),
  fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
  fc.string({ unit: 'grapheme-ascii' }).map((one) => one.repeat(700)),
);
const field = fc.oneof(text, fc.constant(null), fc.constant(undefined));
const row = fc.array(field, { maxLength: 8 });
const oldKind = fc.constantFrom('key' as const, 'row' as const);

function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const kind = <K extends PgoutputMessage['kind']>(name: K) => fc.constant(name);

const relationColumn = record({
  name: text,
  isKey: fc.boolean(),
  typeOid: u32,
  typeModifier: fc.integer({ min: -1, max: 0x7fff_ffff }),
});

function changes(xid: fc.Arbitrary<number | undefined>): fc.Arbitrary<PgoutputMessage>[] {
  const common = { xid, relation: u32 };
  return [
    record({ kind: kind('insert'), ...common, row }),
    record({ kind: kind('update'), ...common, oldKind, old: row, row }),
    record({ kind: kind('update'), ...common, oldKind: fc.constant(undefined), old: fc.constant(undefined), row }),
    record({ kind: kind('delete'), ...common, oldKind, old: row }),
    record({
      kind: kind('truncate'),
      xid,
      isCascade: fc.boolean(),
      restartsIdentity: fc.boolean(),
      relations: fc.array(u32),
    }),
    record({
      kind: kind('relation'),
      ...common,
      schema: text.map((one) => one || 'pg_catalog'),
      name: text,
      identity: fc.constantFrom('default' as const, 'nothing' as const, 'full' as const, 'index' as const),
      columns: fc.array(relationColumn),
    }),
    record({ kind: kind('type'), xid, type: u32, schema: text.map((one) => one || 'pg_catalog'), name: text }),
    record({
      kind: kind('message'),
      xid,
      isTransactional: fc.boolean(),
      lsn,
      prefix: text,
      content: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    }),
  ];
}

const bounds: fc.Arbitrary<PgoutputMessage>[] = [
  record({ kind: kind('begin'), finalLsn: lsn, committedAtMs: timeMs, xid: u32 }),
  record({ kind: kind('commit'), commitLsn: lsn, endLsn: lsn, committedAtMs: timeMs }),
  record({ kind: kind('origin'), lsn, name: text }),
  record({ kind: kind('streamStart'), xid: u32, isFirst: fc.boolean() }),
  record({ kind: kind('streamStop') }),
  record({ kind: kind('streamCommit'), xid: u32, commitLsn: lsn, endLsn: lsn, committedAtMs: timeMs }),
  record({ kind: kind('streamAbort'), xid: u32, subtransaction: u32, abortLsn: lsn, abortedAtMs: timeMs }),
  fc.tuple(u32, u32).map(([xid, subtransaction]) => ({
    kind: 'streamAbort',
    xid,
    subtransaction,
    abortLsn: undefined,
    abortedAtMs: undefined,
  })),
  ...(['beginPrepare', 'prepare', 'streamPrepare', 'commitPrepared', 'rollbackPrepared'] as const).map((name) =>
    record({
      kind: kind(name),
      xid: u32,
      transactionName: text,
      lsn,
      endLsn: lsn,
      preparedAtMs: name === 'commitPrepared' ? fc.constant(undefined) : timeMs,
      endedAtMs: name === 'commitPrepared' || name === 'rollbackPrepared' ? timeMs : fc.constant(undefined),
    }),
  ),
];

/** A message, and whether it is one of a streamed transaction. */
export const messages: fc.Arbitrary<{ readonly message: PgoutputMessage; readonly isStreamed: boolean }> = fc.oneof(
  fc.oneof(...changes(fc.constant(undefined))).map((message) => ({ message, isStreamed: false })),
  fc.oneof(...changes(u32)).map((message) => ({ message, isStreamed: true })),
  fc.tuple(fc.oneof(...bounds), fc.boolean()).map(([message, isStreamed]) => ({ message, isStreamed })),
);
