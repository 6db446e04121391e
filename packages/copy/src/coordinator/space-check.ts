import type { ErrorRecord } from '@batondb/core/errors';
import { formatBytes } from '@batondb/core/text/format';
import type { RequestResult } from '../control/messages.ts';

/** Rounding of files to blocks, on average half a block of 4 KiB a file. */
const blockLossBytes = 2048;

/** A target directory that could be looked at. */
export type Inspected = {
  /** Tells machines apart. */
  readonly bootId: string;
  readonly host: string;
  readonly inspection: RequestResult<'inspect'>;
  /** What is made there besides, of what is there already: the copy of a base. */
  readonly baseBytes: number;
};

/** What is found on a host. */
export type SpaceFinding = { readonly host: string; readonly error: ErrorRecord };

type Scan = Pick<RequestResult<'scan'>, 'contentBytes' | 'entries' | 'files'> & {
  /** Above what is copied: the least that is made of it. Bytes, and why. */
  readonly more?: { readonly bytes: number; readonly reason: string };
};

/** Whether what is to come fits. Targets on one file system share its space. Pure. */
export function checkSpace(scan: Scan, inspected: readonly Inspected[]): SpaceFinding[] {
  const wanting = inspected.filter(({ inspection }) => inspection.space !== undefined && !inspection.published);
  const sharing = Map.groupBy(wanting, ({ bootId, inspection }) => `${bootId} ${inspection.space?.device}`);
  return [...sharing.values()].flatMap((share) => checkShare(scan, share));
}

function checkShare(scan: Scan, sharing: readonly Inspected[]): SpaceFinding[] {
  const [first] = sharing;
  const space = first?.inspection.space;
  if (first === undefined || space === undefined) return [];
  const errors: ErrorRecord[] = [];
  const wholeBytes = scan.contentBytes + scan.files * blockLossBytes;
  const neededBytes = sharing.reduce(
    (sum, { inspection, baseBytes }) =>
      sum + Math.max(0, wholeBytes - inspection.resumedBytes) + (scan.more?.bytes ?? 0) + baseBytes,
    0,
  );
  const more = scan.more === undefined ? '' : `: ${scan.more.reason}`;
  const copies = sharing.length === 1 ? '' : ` for ${sharing.length} copies`;
  if (neededBytes > space.freeBytes) {
    errors.push({
      code: 'NO_SPACE',
      message: `${space.mount} has ${formatBytes(space.freeBytes)} free, and ${formatBytes(neededBytes)} are needed${copies}${more}`,
      retryable: false,
      hint: `make ${formatBytes(neededBytes - space.freeBytes)} of space, or choose another directory`,
    });
  }
  const neededInodes = scan.entries * sharing.length;
  const isResumed = sharing.some(({ inspection }) => inspection.resumedBytes > 0);
  if (space.freeInodes !== undefined && !isResumed && neededInodes > space.freeInodes) {
    errors.push({
      code: 'NO_INODES',
      message: `${space.mount} has ${space.freeInodes} inodes free, and ${neededInodes} are needed${copies}`,
      retryable: false,
      hint: 'choose a file system with more inodes',
    });
  }
  return errors.map((error) => ({ host: first.host, error }));
}
