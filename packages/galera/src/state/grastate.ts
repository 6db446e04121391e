import { check, close } from '@batondb/core/files/libc';
import { openDirectory } from '@batondb/core/files/open';
import { type Stat, statDescriptor, tryStatAt } from '@batondb/core/files/stat';
import { toBatonError } from '@batondb/core/files/system-error';
import { textToBytes } from '@batondb/core/text/bytes';
import { limits } from './limits.ts';
import { readSmallFile, replaceSmallFile } from './small-file.ts';

// grastate.dat: where Galera notes at which position a node's data is. Lines of `key: value`, and `#` before what is for people. The format
// is that of galera/src/saved_state.cpp. Not checked: `version`, which Galera itself reads and ignores.

/** What a node knows of its own data while its server is down. */
export type Grastate = {
  /** Of the cluster; {@link noUuid} when the data has no position, or is not to be trusted. */
  readonly uuid: string;
  /** -1 when the server did not end in order: InnoDB knows it then. */
  readonly seqno: bigint;
  /** Whether the node may be the first one of a cluster. */
  readonly safeToBootstrap: boolean;
};

/** The uuid of no cluster. */
export const noUuid = '00000000-0000-0000-0000-000000000000';
const fileName = 'grastate.dat';
const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const seqnoPattern = /^-?\d{1,19}$/;

/** Whether a text is the uuid of a cluster, as Galera writes it. */
export function isClusterUuid(text: string): boolean {
  return uuidPattern.test(text) && text !== noUuid;
}

/** Undefined when the text says no position: a line is missing, or makes no sense. */
export function parseGrastate(text: string): Grastate | undefined {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*([a-z_]+):\s*(\S*)\s*$/.exec(line);
    if (match !== null) values.set(match[1] as string, match[2] as string);
  }
  const uuid = values.get('uuid')?.toLowerCase() ?? '';
  const seqno = values.get('seqno') ?? '';
  if (!uuidPattern.test(uuid) || !seqnoPattern.test(seqno)) return undefined;
  return { uuid, seqno: BigInt(seqno), safeToBootstrap: values.get('safe_to_bootstrap') === '1' };
}

/** The file as Galera writes it, version 2.1. */
export function formatGrastate({ uuid, seqno, safeToBootstrap }: Grastate): string {
  const lines = [
    '# GALERA saved state',
    'version: 2.1',
    `uuid:    ${uuid}`,
    `seqno:   ${seqno}`,
    `safe_to_bootstrap: ${safeToBootstrap ? 1 : 0}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Of a data directory; undefined when there is none, or it says no position. Throws NOT_FOUND, NO_PERMISSION, LIMIT. */
export function readGrastate(dataDirectory: string): Grastate | undefined {
  return inDirectory(dataDirectory, (directory) => {
    const text = readSmallFile(directory, fileName, limits.grastateBytesMax);
    return text === undefined ? undefined : parseGrastate(text);
  });
}

/**
 * Writes it, whole or not at all, synced; its owner and mode stay what they are, and a new one has the directory's owner. No server may be
 * running: Galera holds the file open and writes into it. Throws NO_SPACE, NO_PERMISSION, READ_ONLY.
 */
export function writeGrastate(dataDirectory: string, state: Grastate): void {
  inDirectory(dataDirectory, (directory) => {
    const old = tryStatAt(directory, textToBytes(fileName));
    const { uid, gid, mode }: Stat = isStat(old) ? old : { ...statDescriptor(directory), mode: 0o660 };
    replaceSmallFile(directory, fileName, formatGrastate(state), { uid, gid, mode });
  });
}

function isStat(found: Stat | number): found is Stat {
  return typeof found !== 'number';
}

function inDirectory<T>(path: string, act: (directory: number) => T): T {
  try {
    const directory = check(openDirectory(textToBytes(path)), 'openat', () => path);
    try {
      return act(directory);
    } finally {
      close(directory);
    }
  } catch (error) {
    throw toBatonError(error, { path: `${path}/${fileName}` });
  }
}
