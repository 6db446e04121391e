import {
  backupTools,
  batonBackup,
  batonBackupToThree,
  transferpyBackup,
  transferpyBackupMended,
  transferpyBackupMendedToThree,
  transferpyBackupToThree,
} from './backup.ts';
import { batonChain, batonLocal, batonOverSsh } from './baton.ts';
import type { Method } from './method.ts';
import { cp, scp, tarZstd } from './plain.ts';
import { rsync, rsyncFsync } from './rsync.ts';
import { transferpy, transferpyMended } from './transferpy.ts';

/** Every method, in the order in which the report lists them. */
export const allMethods: readonly Method[] = [
  batonOverSsh,
  batonLocal,
  batonChain,
  rsync,
  rsyncFsync,
  scp,
  tarZstd,
  cp,
  transferpy,
  transferpyMended,
  batonBackup,
  batonBackupToThree,
  transferpyBackup,
  transferpyBackupToThree,
  transferpyBackupMended,
  transferpyBackupMendedToThree,
  backupTools,
];
