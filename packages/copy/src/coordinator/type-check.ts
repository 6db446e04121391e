import { archiveEndings, archiveFormatOf } from '@batondb/core/archive/decompress';
import type { ErrorRecord } from '@batondb/core/errors';
import { printable } from '@batondb/core/files/names';
import { limits } from '@batondb/core/limits';
import type { Greeting, RequestResult } from '../control/messages.ts';
import type { BackupOptions, CopyOptions, CopyType } from '../options.ts';
import type { ResolvedPlan } from '../plan.ts';
import type { Scan } from './scan.ts';

// What preflight asks and finds because of the type of a copy. Pure.

/** The type in a request; the default is left out, so that an older agent has nothing to overlook. */
export function typeAsked({ type }: CopyOptions): { readonly type?: CopyType } {
  return type === 'file' ? {} : { type };
}

/** An agent that does not know the type would copy the archive as a file: it has to say that it does. */
export function checkType(
  type: CopyType,
  inspection: RequestResult<'inspect'> | undefined,
  host: Greeting,
): ErrorRecord[] {
  if (type === 'file' || inspection === undefined || inspection.type === type) return [];
  return [
    {
      code: 'VERSION_MISMATCH',
      message: `baton ${host.software} there knows nothing of ${type === 'update' ? '--update' : `--type ${type}`}`,
      retryable: false,
      hint: 'install a newer release there',
    },
  ];
}

/** Whether what is at a target is of the source's kind: a file takes no directory's place. */
export function checkExisting({ kind }: Scan, inspection: RequestResult<'inspect'>): ErrorRecord[] {
  const { existing, finalPath } = inspection;
  if (existing === undefined || kind === undefined || existing === kind) return [];
  return [
    {
      code: 'EXISTS',
      message: `${finalPath} is a ${existing}, and the source is a ${kind}`,
      retryable: false,
      hint: 'move it away, or choose another name with --as',
    },
  ];
}

/** Whether the source is what the type needs: an archive is one regular file with an ending that tells its format. */
export function checkSource(
  type: CopyType,
  { entries, files }: Pick<Scan, 'entries' | 'files'>,
  plan: ResolvedPlan,
): ErrorRecord[] {
  if (type !== 'decompress') return [];
  const isFile = entries === 1 && files === 1;
  if (isFile && archiveFormatOf(plan.name) !== undefined) return [];
  const what = isFile ? `${printable(plan.name)} has another name` : `${plan.sourceText} is no regular file`;
  return [
    {
      code: 'UNSUPPORTED',
      message: `an archive that can be unpacked is a file whose name ends in ${archiveEndings.join(', ')}, and ${what}`,
      retryable: false,
      hint: 'name the archive itself, or leave --type decompress out',
    },
  ];
}

/**
 * What has to fit on a target. How much a compressed archive holds is not known before it is unpacked: what preflight asks for
 * is the archive, and as much again.
 */
export function spaceScan(
  { type, input, verify }: CopyOptions,
  scan: Scan,
  targetCount: number,
): Scan & { readonly more?: { bytes: number; reason: string } } {
  if (scan.backup !== undefined && input.kind === 'mariadb') {
    // What is unpacked is freed once every target has it. A single one keeps no more than what may come over two ways.
    const isFreed = targetCount === 1 && verify === 'wire';
    return { ...scan, contentBytes: backupBytes(input, scan.backup.dataBytes, isFreed) };
  }
  if (type !== 'decompress') return scan;
  const reason = 'the archive, and at least as much for what it holds, which is not known before it is unpacked';
  return { ...scan, more: { bytes: scan.contentBytes, reason } };
}

/**
 * How much space a backup takes: unpacked, and as what is kept of its stream meanwhile. How much has changed since a base nobody knows
 * before. What is applied to the copy of one may make it larger by all of the data; where less has changed, that is room for the stream,
 * too, none of which is freed before the base is copied.
 */
function backupBytes({ base, prepare }: BackupOptions, dataBytes: number, isFreed: boolean): number {
  if (base !== undefined) return prepare ? dataBytes : 0;
  const keptBytes = isFreed ? 2 * limits.streamWindowUnits * limits.unitBytes : dataBytes;
  return dataBytes + Math.min(keptBytes, dataBytes);
}
