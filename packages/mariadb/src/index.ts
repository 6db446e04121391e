export {
  type BackupEvent,
  type BackupOptions,
  type BackupResult,
  type RunningBackup,
  startBackup,
} from './backup.ts';
export { type BackupBase, readBase } from './base.ts';
export type { Row } from './client-output.ts';
export { checkEmptyDataDirectory, checkNotInUse } from './data-directory.ts';
export { type BackupPosition, formatPosition, type ReplicaSource } from './position.ts';
export {
  baseLsnOf,
  positionFileName,
  positionToJson,
  readGaleraInfo,
  readPosition,
  writePosition,
} from './position-files.ts';
export { type PrepareOptions, type PrepareProgress, prepare } from './prepare.ts';
export type { BinlogPosition, ReplicaStatus } from './replica-status.ts';
export { type ReplicationGuard, stopReplication } from './replication/stop-replication.ts';
export type { Thread, ThreadName } from './replication/threads.ts';
export { Server } from './server.ts';
export type { ServerOptions } from './server-options.ts';
export { ShareBehind } from './share-behind.ts';
export { type BackupTool, chooseTool, type ToolKind, type ToolVersion, toolVersion } from './tool.ts';
export { type RunningUnpack, startUnpack, type UnpackInto } from './unpack.ts';
export { unpackContent } from './unpack-content.ts';
export { type Family, formatVersion, type ServerVersion } from './version.ts';
export type { StreamSummary } from './xbstream.ts';
