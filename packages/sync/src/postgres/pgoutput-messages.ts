import type { Row } from '../table.ts';
import type { Lsn } from './position.ts';

// What the plugin pgoutput says, in the words of the section "Logical Replication Message Formats" of PostgreSQL's documentation. `xid` is there inside of
// a streamed transaction only: the (sub)transaction that made the change, which may be aborted later.

/** A column of a relation as a message describes it. */
export type RelationColumn = {
  readonly name: string;
  /** Belongs to the replica identity. */
  readonly isKey: boolean;
  readonly typeOid: number;
  /** -1: none. */
  readonly typeModifier: number;
};

export type BeginMessage = {
  readonly kind: 'begin';
  /** Where the commit record begins. */
  readonly finalLsn: Lsn;
  readonly committedAtMs: number;
  readonly xid: number;
};
export type CommitMessage = {
  readonly kind: 'commit';
  /** Where the commit record begins. */
  readonly commitLsn: Lsn;
  /** Where it ends: everything before it has been told. */
  readonly endLsn: Lsn;
  readonly committedAtMs: number;
};
/** Something said with `pg_logical_emit_message`. */
export type EmittedMessage = {
  readonly kind: 'message';
  readonly xid: number | undefined;
  readonly isTransactional: boolean;
  readonly lsn: Lsn;
  readonly prefix: string;
  /** A view of the message's own bytes. */
  readonly content: Buffer;
};
export type OriginMessage = { readonly kind: 'origin'; readonly lsn: Lsn; readonly name: string };
export type RelationMessage = {
  readonly kind: 'relation';
  readonly xid: number | undefined;
  readonly relation: number;
  readonly schema: string;
  readonly name: string;
  readonly identity: 'default' | 'nothing' | 'full' | 'index';
  readonly columns: readonly RelationColumn[];
};
export type TypeMessage = {
  readonly kind: 'type';
  readonly xid: number | undefined;
  readonly type: number;
  readonly schema: string;
  readonly name: string;
};
/** An unchanged TOAST value is `undefined` in a row. */
export type InsertMessage = {
  readonly kind: 'insert';
  readonly xid: number | undefined;
  readonly relation: number;
  readonly row: Row;
};
export type UpdateMessage = {
  readonly kind: 'update';
  readonly xid: number | undefined;
  readonly relation: number;
  /** `key`: fields outside of the replica identity are null in `old`, whatever they were. `row`: they are all as they were. */
  readonly oldKind: 'key' | 'row' | undefined;
  readonly old: Row | undefined;
  readonly row: Row;
};
export type DeleteMessage = {
  readonly kind: 'delete';
  readonly xid: number | undefined;
  readonly relation: number;
  /** As of an update. */
  readonly oldKind: 'key' | 'row';
  readonly old: Row;
};
export type TruncateMessage = {
  readonly kind: 'truncate';
  readonly xid: number | undefined;
  readonly isCascade: boolean;
  readonly restartsIdentity: boolean;
  readonly relations: readonly number[];
};
export type StreamStartMessage = { readonly kind: 'streamStart'; readonly xid: number; readonly isFirst: boolean };
export type StreamStopMessage = { readonly kind: 'streamStop' };
export type StreamCommitMessage = {
  readonly kind: 'streamCommit';
  readonly xid: number;
  readonly commitLsn: Lsn;
  readonly endLsn: Lsn;
  readonly committedAtMs: number;
};
export type StreamAbortMessage = {
  readonly kind: 'streamAbort';
  readonly xid: number;
  /** The same as `xid` when all of the transaction is aborted. */
  readonly subtransaction: number;
  /** Protocol 4 with `streaming 'parallel'` only. */
  readonly abortLsn: Lsn | undefined;
  readonly abortedAtMs: number | undefined;
};
/** Two-phase commit, which nobody asks for: a caller refuses them. */
export type TwoPhaseMessage = {
  readonly kind: 'beginPrepare' | 'prepare' | 'commitPrepared' | 'rollbackPrepared' | 'streamPrepare';
  readonly xid: number;
  readonly transactionName: string;
  /** Where the transaction was prepared, and for a rollback the end of that. */
  readonly lsn: Lsn;
  readonly endLsn: Lsn;
  readonly preparedAtMs: number | undefined;
  /** Of a commit or a rollback. */
  readonly endedAtMs: number | undefined;
};

export type PgoutputMessage =
  | BeginMessage
  | CommitMessage
  | EmittedMessage
  | OriginMessage
  | RelationMessage
  | TypeMessage
  | InsertMessage
  | UpdateMessage
  | DeleteMessage
  | TruncateMessage
  | StreamStartMessage
  | StreamStopMessage
  | StreamCommitMessage
  | StreamAbortMessage
  | TwoPhaseMessage;
