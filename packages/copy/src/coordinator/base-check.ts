import type { ErrorRecord } from '@batondb/core/errors';
import { formatVersion } from '@batondb/mariadb';
import type { Greeting, RequestResult } from '../control/messages.ts';
import type { ScannedBackup } from './scan.ts';

// What preflight finds about the bases of an incremental backup. Pure.

/** The base on a target. */
export type FoundBase = RequestResult<'inspectBase'> & { readonly host: string; readonly target: string };

/** What is found on a host; undefined: on that of the source. */
export type BaseFinding = { readonly host: string | undefined; readonly error: ErrorRecord };

/** The position that one stream for all targets begins at; undefined where there is none. */
export function commonLsn(bases: readonly FoundBase[]): string | undefined {
  const [first, ...others] = bases;
  return others.every(({ toLsn }) => toLsn === first?.toLsn) ? first?.toLsn : undefined;
}

/** Whether all bases end at one position, and are of the server that is backed up; `path` is that of the bases. */
export function checkBases(
  path: string,
  bases: readonly FoundBase[],
  backup: ScannedBackup,
  source: Pick<Greeting, 'software'>,
): BaseFinding[] {
  if (backup.incremental === undefined) return [{ host: undefined, error: notKnown(source.software) }];
  const strangers = bases.flatMap((base) => {
    const reason = strangeness(base, backup);
    return reason === undefined ? [] : [{ host: base.host, error: otherServer(`${path} ${reason}`) }];
  });
  return bases.length > 0 && commonLsn(bases) === undefined
    ? [...strangers, { host: undefined, error: apart(bases) }]
    : strangers;
}

/** An agent that does not know incremental backups would make a full one. */
function notKnown(software: string): ErrorRecord {
  const message = `baton ${software} there knows nothing of --incremental`;
  return { code: 'VERSION_MISMATCH', message, retryable: false, hint: 'install a newer release there' };
}

function strangeness(base: FoundBase, { server, incremental }: ScannedBackup): string | undefined {
  const { serverVersion, serverUuid, toLsn } = base;
  const series = /^\d+\.\d+(?!\d)/.exec(serverVersion)?.[0];
  if (series !== undefined && series !== `${server.major}.${server.minor}`)
    return `is a backup of a server ${serverVersion}, and the source is ${formatVersion(server)}`;
  const sourceUuid = incremental?.serverUuid;
  if (serverUuid !== undefined && sourceUuid !== undefined && serverUuid !== sourceUuid)
    return `is a backup of another server: its UUID is ${serverUuid}, and that of the source is ${sourceUuid}`;
  const sourceLsn = incremental?.serverLsn;
  // The tool would not notice: it would find nothing changed since.
  if (sourceLsn !== undefined && BigInt(sourceLsn) < BigInt(toLsn))
    return `ends at LSN ${toLsn}, and the source is only at LSN ${sourceLsn}: that is another server, or its data was replaced since`;
  return undefined;
}

function otherServer(message: string): ErrorRecord {
  const hint = 'name a backup of this server as the base, or take a full one';
  return { code: 'UNSUPPORTED', message, retryable: false, hint };
}

function apart(bases: readonly FoundBase[]): ErrorRecord {
  const positions = bases.map(({ target, toLsn }) => `${target} at LSN ${toLsn}`).join(', ');
  return {
    code: 'UNSUPPORTED',
    message: `one stream serves targets whose bases end at one position, and these do not: ${positions}`,
    retryable: false,
    hint: 'run one command for each position',
  };
}
