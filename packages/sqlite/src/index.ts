export type { Databases } from './databases.ts';
export type { SqlResult } from './engine/connection.ts';
export { SqlError } from './engine/sql-error.ts';
export type { Description } from './engine/statement.ts';
export type { NumberMode, SqlArguments, SqlValue } from './engine/values.ts';
export type { EtcdLogLimits, EtcdLogOptions } from './log/etcd-settings.ts';
export type { AppendOutcome, Epoch, Leadership, LogEntry, LogIndex, ReplicatedLog } from './log/log.ts';
export { formatPosition, type Position, parsePosition } from './machine/position.ts';
export { announce } from './node/announcement.ts';
export type { LocalReader } from './node/local-reader.ts';
export {
  type BatchResult,
  type ExecuteOptions,
  openNode,
  type QueryOptions,
  type SqliteNode,
  type WriteResult,
} from './node/node.ts';
export type { FollowOptions, NodeOptions, NodeSettings } from './node/options.ts';
export type { JoinProgress, ReplicationStatus } from './node/replication.ts';
export type { DatabaseInfo, DatabaseStatus, NodeStatus, ReceiptState, SqlStatement } from './node/request.ts';
export type { PositionedResult, RunOptions, Session, Transaction } from './node/session.ts';
export { checkLog, type LogReport, type SegmentReport, type Verdict } from './recovery/check.ts';
export { type Recovery, recoverLog } from './recovery/recover.ts';
export type { DatabaseOutlook } from './recovery/replay.ts';
export type { CertificateFiles } from './server/certificate.ts';
export { type RefusalCode, refusalCodes } from './server/refusal.ts';
export { type RunningServer, type ServerOptions, startServer } from './server/server.ts';
export { defaultSettings, type ServerSettings } from './server/settings.ts';
export { createToken, listTokens, revokeToken, type TokenSummary } from './server/tokens/manage.ts';
export { type Right, rights } from './server/tokens/token.ts';
export type { BackupManifest, FoundBackup } from './snapshot/backup-format.ts';
export { findBackups } from './snapshot/backup-format.ts';
export type { BackupSettings, BackupStatus } from './snapshot/backup-schedule.ts';
export type { ImportOptions } from './snapshot/import.ts';
export { discardReplaced, listReplaced, type Restored, restoreBackup } from './snapshot/restore.ts';
export type { NodeSnapshot } from './snapshot/snapshot.ts';
