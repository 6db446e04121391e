import type { ServerVersion } from '@batondb/mariadb';
import { toBase64 } from '../bytes.ts';
import type { IncrementalSource, RequestResult, StreamInput } from '../control/messages.ts';
import type { Incremental } from '../events.ts';
import type { CopyInput } from '../options.ts';
import type { ResolvedPlan } from '../plan.ts';
import type { AgentSession } from './session.ts';

/** What is known of the source. */
export type Scan = RequestResult<'scan'> & {
  /** `contentBytes` is a guess then, or 0. */
  readonly isStream: boolean;
  readonly backup: ScannedBackup | undefined;
};

/** What is known of a backup before it is taken. */
export type ScannedBackup = {
  readonly server: ServerVersion;
  /** About how much a full one would be. */
  readonly dataBytes: number;
  /** Where an incremental one begins. */
  readonly fromLsn: string | undefined;
  /** From an agent that knows incremental ones, if that is what it is. */
  readonly incremental: IncrementalSource | undefined;
};

type StreamedInput = Exclude<CopyInput, { kind: 'tree' }>;

/** Makes an agent the source of a stream. `fromLsn`: of an incremental backup, where its bases have one in common. */
export async function scanStream(
  session: AgentSession,
  input: StreamedInput,
  plan: ResolvedPlan,
  fromLsn: string | undefined,
): Promise<Scan> {
  const asked = { name: toBase64(plan.name), input: streamInputOf(input, plan, fromLsn) };
  const { manifestDigest, manifestBytes, expectedBytes = 0, ...known } = await session.request('stream', asked);
  const { server, incremental } = known;
  const backup = server && { server, dataBytes: expectedBytes, fromLsn, incremental };
  const none = { first: [], total: 0 };
  // How much has changed since a base shows when it is read.
  const contentBytes = incremental === undefined ? expectedBytes : 0;
  const unknown = { contentBytes, units: 0, sockets: none, unreadable: none };
  return { manifestDigest, manifestBytes, ...unknown, entries: 1, files: 1, isStream: true, backup };
}

/** What an incremental backup is taken from; undefined for everything else. */
export function incrementalOf({ backup }: Scan, input: CopyInput): Incremental | undefined {
  const base = input.kind === 'mariadb' ? input.base : undefined;
  return base === undefined || backup?.fromLsn === undefined ? undefined : { base, fromLsn: backup.fromLsn };
}

function streamInputOf(input: StreamedInput, { source }: ResolvedPlan, fromLsn: string | undefined): StreamInput {
  if (input.kind !== 'mariadb') return input;
  const { kind, stopReplica, defaultsFile, loginPath, base } = input;
  const incremental = fromLsn === undefined ? {} : { fromLsn };
  return {
    kind,
    socketPath: Buffer.from(source.path).toString(),
    stopReplica,
    ...(defaultsFile === undefined ? {} : { defaultsFile }),
    ...(loginPath === undefined ? {} : { loginPath }),
    ...(base === undefined ? {} : { incremental }),
  };
}
