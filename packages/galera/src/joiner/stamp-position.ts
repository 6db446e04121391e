import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { runStatement } from '@batondb/mariadb/client';
import type { Call } from '../contract/call.ts';
import { formatPosition, type GaleraPosition } from '../contract/position.ts';
import { logicalLimits } from '../logical-limits.ts';
import { pause } from '../pause.ts';
import { writeGrastate } from '../state/grastate.ts';
import { recoverPosition } from '../state/recovered-position.ts';
import { serverArguments, type TemporaryPlace, TemporaryServer } from './temporary-server.ts';

const answerMsMax = 60_000;
const lookMs = 20;
/** What Galera keeps of a node in a data directory. */
const galeraFiles = ['grastate.dat', 'gvwstate.dat', 'galera.cache'] as const;
/** Galera's own tables: of the donor they came with the dump, and a start with Galera would act upon them and change them. */
const galeraTables = ['wsrep_cluster', 'wsrep_cluster_members', 'wsrep_streaming_log'] as const;

/**
 * Writes a position into InnoDB, as only Galera can: the directory's server becomes a cluster of one, without any network, that has come as
 * far as the transaction before; to form a cluster counts as one. Then asks InnoDB as every later start does. Throws BACKUP_FAILED when it
 * does not recover that position.
 */
export async function stampPosition(
  call: Pick<Call, 'optionFiles' | 'serverArguments'>,
  place: TemporaryPlace,
  position: GaleraPosition,
  signal: AbortSignal,
): Promise<void> {
  const { uuid, seqno } = position;
  const arguments_ = serverArguments(call, place);
  writeGrastate(place.directory, { uuid, seqno: seqno - 1n, safeToBootstrap: true });
  const cluster = [
    ...['--wsrep-on=ON', '--wsrep-new-cluster', '--wsrep-cluster-name=baton', '--wsrep-node-address=127.0.0.1'],
    // Galera's own group of one, which has no sockets.
    '--wsrep-cluster-address=dummy://',
    '--wsrep-provider-options=gcache.size=1M;gcache.recover=no;pc.recovery=no',
  ];
  {
    await using server = await TemporaryServer.start([...arguments_, ...cluster], place, signal);
    await untilFormed(server, position, signal);
    const back = galeraTables.flatMap((name) => [`DROP TABLE IF EXISTS mysql.${name}`, renamed(kept(name), name)]);
    await runStatement(server.options, ['SET SESSION wsrep_on = OFF', ...back].join('; '), answerMsMax, signal);
    await server.stop(signal);
  }
  for (const name of galeraFiles) rmSync(join(place.directory, name), { force: true });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(logicalLimits.startMsMax)]);
  const found = await recoverPosition({ argv: [...arguments_, '--wsrep-on=ON'] }, limit);
  if (found?.uuid === uuid && found.seqno === seqno) return;
  const said = found === undefined ? 'none' : `${found.uuid}:${found.seqno}`;
  throw new BatonError('BACKUP_FAILED', `InnoDB was given ${formatPosition(position)}, and recovers ${said}`, {
    hint: 'use method=backup: this release of Galera keeps positions in another way',
  });
}

/** Puts Galera's own tables aside until {@link stampPosition} has them back. */
export function setAside(): string {
  return galeraTables.map((name) => renamed(name, kept(name))).join('; ');
}

function kept(name: string): string {
  return `baton_${name}`;
}

function renamed(from: string, to: string): string {
  return `RENAME TABLE mysql.${from} TO mysql.${to}`;
}

async function untilFormed(server: TemporaryServer, { seqno }: GaleraPosition, signal: AbortSignal): Promise<void> {
  const question = "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_last_committed', 'wsrep_local_state_comment')";
  for (const endsMs = performance.now() + answerMsMax; performance.now() < endsMs; await pause(lookMs, signal)) {
    const rows = await runStatement(server.options, question, answerMsMax, signal);
    const values = new Map(rows.map((row) => [row.get('Variable_name'), row.get('Value')]));
    if (values.get('wsrep_local_state_comment') === 'Synced' && values.get('wsrep_last_committed') === String(seqno))
      return;
  }
  throw new BatonError('TIMED_OUT', `a temporary cluster of one has not formed within ${answerMsMax / 1000} s`);
}
