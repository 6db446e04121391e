// What an operator has set for transfers in `[sst]`, and the defaults of what he has not.
import { BatonError } from '@batondb/core/errors';
import { parseByteRate } from '@batondb/core/text/rate';
import { splitWords } from '@batondb/core/text/words';
import type { Call } from '../contract/call.ts';
import { type Credentials, parseAuth } from '../contract/credentials.ts';
import type { AuthorityDemand } from './authority.ts';
import type { Finding } from './finding.ts';
import { limits } from './limits.ts';
import { type Options, readOptionGroups } from './option-files.ts';
import { readSecurity } from './security.ts';
import { readServerOptions, type ServerOptions } from './server-options.ts';
import { findUnused } from './unused-keys.ts';
import { parseBoolean, parseBytes, parseChoice, parseInteger } from './values.ts';

/** How transfers are done. */
export type Settings = {
  /** `backup`: a hot backup, while the donor goes on. `files`: a copy of its files, while the cluster waits. `logical`: a dump. */
  readonly method: 'backup' | 'files' | 'logical';
  readonly keyFile: string;
  /** Whether somebody named the key file, so that it must be there. */
  readonly isKeyFileNamed: boolean;
  readonly allowUnauthenticatedDonor: boolean;
  /** Data connections. */
  readonly streams: number;
  readonly compression: 'zstd' | 'none';
  /** Undefined: as fast as it goes. */
  readonly bytesPerSecondMax: number | undefined;
  /** What the joiner may do when there is no room for the old data and the new. */
  readonly space: 'double' | 'reflink' | 'in-place';
  /** Memory of `--prepare`; the server does not run then. */
  readonly prepareMemoryBytes: number;
  /** Threads of the backup tool. Undefined: it depends on the processors. */
  readonly backupThreads: number | undefined;
  /** More arguments of the backup tool, on the donor. */
  readonly backupArguments: readonly string[];
  /** More arguments of its `--prepare`, on the joiner. */
  readonly prepareArguments: readonly string[];
  /** From the `ready` line to the donor's first word. */
  readonly firstWordMsMax: number;
  /** Without a byte from the other side. */
  readonly silenceMsMax: number;
  /** From the call: in `[sst]` when the server has not said them. */
  readonly credentials: Credentials | undefined;
};

/** Every default. Those of waits are MariaDB's where it has such a wait. */
export const defaults = {
  method: 'backup',
  keyFile: '/etc/mysql/baton.key',
  allowUnauthenticatedDonor: false,
  streams: 4,
  compression: 'zstd',
  space: 'double',
  firstWordSeconds: 300,
  silenceSeconds: 120,
} as const;

/** What {@link readSettings} found. */
export type ReadSettings = {
  readonly settings: Settings;
  /** Where an operator demands that an authority vouches for both sides. */
  readonly demand: AuthorityDemand | undefined;
  readonly server: ServerOptions;
  readonly findings: readonly Finding[];
};

/**
 * Reads the option files that the server has named. Throws UNSUPPORTED for a security option that is not honoured (G11), USAGE for a value
 * that makes no sense, and what readOptionGroups() throws.
 */
export async function readSettings(call: Call, signal: AbortSignal): Promise<ReadSettings> {
  const groups = await readOptionGroups(call, signal);
  const { demand, findings } = readSecurity(groups, call.role, call.dataDirectory);
  const server = readServerOptions(call, groups.server);
  const settings = parseSettings(groups.sst, groups.backup, server, call.credentials);
  return { settings, demand, server, findings: [...findings, ...findUnused(groups.sst)] };
}

/** The settings of a group `[sst]`; `backup` are the groups of the backup tool. Throws USAGE. */
export function parseSettings(
  sst: Options,
  backup: Options,
  server: Pick<ServerOptions, 'bufferPoolBytes'>,
  credentials: Credentials | undefined,
): Settings {
  const value = <T>(key: string, parse: (key: string, text: string) => T, fallback: T, options = sst): T => {
    const text = options.get(key);
    return text === undefined ? fallback : parse(key, text);
  };
  const tool = (key: string): string | undefined => sst.get(key) || backup.get(key) || undefined;
  const seconds = (key: string, text: string): number => parseInteger(key, text, 1, limits.waitSecondsMax);
  const memory = tool('use-memory');
  const threads = tool('backup-threads');
  return {
    method: value('method', (key, text) => parseChoice(key, text, ['backup', 'files', 'logical']), defaults.method),
    keyFile: value('key', keyFile, defaults.keyFile),
    isKeyFileNamed: sst.has('key'),
    allowUnauthenticatedDonor: value('allow-unauthenticated-donor', parseBoolean, defaults.allowUnauthenticatedDonor),
    streams: value('streams', (key, text) => parseInteger(key, text, 1, limits.streamsMax), defaults.streams),
    compression: value('compression', (key, text) => parseChoice(key, text, ['zstd', 'none']), defaults.compression),
    bytesPerSecondMax: rateOf(sst),
    space: value('space', (key, text) => parseChoice(key, text, ['double', 'reflink', 'in-place']), defaults.space),
    prepareMemoryBytes: memory === undefined ? server.bufferPoolBytes : parseBytes('use-memory', memory),
    backupThreads:
      threads === undefined ? undefined : parseInteger('backup-threads', threads, 1, limits.backupThreadsMax),
    backupArguments: splitWords(tool('inno-backup-opts') ?? ''),
    prepareArguments: splitWords(tool('inno-apply-opts') ?? ''),
    firstWordMsMax: value('sst-initial-timeout', seconds, defaults.firstWordSeconds) * 1000,
    silenceMsMax: value('sst-idle-timeout', seconds, defaults.silenceSeconds) * 1000,
    credentials: credentials ?? parseAuth(sst.get('wsrep-sst-auth')),
  };
}

/** `bwlimit` is written as everywhere in Baton; `rlimit` is MariaDB's, whose `10M` are 10 · 1024² bytes. 0 is no limit. */
function rateOf(sst: Options): number | undefined {
  const [ours, theirs] = [sst.get('bwlimit'), sst.get('rlimit')];
  if (ours !== undefined) return ours === '0' ? undefined : parseByteRate(ours);
  return theirs === undefined ? undefined : parseBytes('rlimit', theirs) || undefined;
}

function keyFile(key: string, text: string): string {
  if (text.startsWith('/')) return text;
  throw new BatonError('USAGE', `${key} is '${text}', and has to be the absolute path of a key file`);
}
