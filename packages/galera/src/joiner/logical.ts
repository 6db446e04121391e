import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { spawnTethered } from '@batondb/core/process/tethered';
import { findProgram, runStatement, toolEnvironment } from '@batondb/mariadb/client';
import { connectionArguments } from '@batondb/mariadb/server-options';
import { parseServerVersion } from '@batondb/mariadb/version';
import type { TransferContext } from '../context.ts';
import { formatPosition, type GaleraPosition } from '../contract/position.ts';
import { PrivateDirectory } from '../donor/private-directory.ts';
import { logicalLimits } from '../logical-limits.ts';
import { positionOf } from '../position-words.ts';
import { quoteName, SqlSession } from '../sql-session.ts';
import { StallGuard } from '../stall-guard.ts';
import type { Staging } from '../state/staging.ts';
import { parseChecksums, type TableChecksum } from '../table-checksums.ts';
import type { JoinerSession } from '../wire/joiner-session.ts';
import type { Offer } from '../wire/messages.ts';
import { receiveStream } from '../wire/receive-stream.ts';
import { setAside, stampPosition } from './stamp-position.ts';
import { serverArguments, type TemporaryPlace, TemporaryServer } from './temporary-server.ts';

const answerMsMax = 60_000;
/** A dump has no schema for what the server itself shows; what the donor's tables are need not be what this server would make. */
const before = `CREATE DATABASE performance_schema;
SET SESSION unique_checks = 0, foreign_key_checks = 0, check_constraint_checks = 0, enforce_storage_engine = NULL;
`;
/** Of the server at its start and of Galera, which the real server makes anew. */
const leftFiles = ['tc.log', 'ddl_recovery.log', 'ib_buffer_pool', 'multi-master.info', 'ibtmp1'] as const;

/**
 * Feeds a dump to a temporary server on the staging directory, compares every table with the donor's by its checksum, and writes the
 * position into InnoDB. Returns it.
 */
export async function receiveLogical(
  context: TransferContext,
  session: JoinerSession,
  offer: Offer,
  staging: Staging,
  signal: AbortSignal,
): Promise<{ readonly position: GaleraPosition }> {
  const { call, log, progress, leftovers } = context;
  await using socket = await PrivateDirectory.make(leftovers);
  const place: TemporaryPlace = {
    directory: staging.newPath,
    scratch: join(staging.path, 'tmp'),
    privateDirectory: socket.path,
  };
  mkdirSync(place.scratch);
  let position: GaleraPosition;
  {
    const loading = ['--wsrep-on=OFF', '--innodb-flush-log-at-trx-commit=0', '--skip-innodb-doublewrite'];
    await using server = await TemporaryServer.start([...serverArguments(call, place), ...loading], place, signal);
    await checkVersion(server, offer, signal);
    session.accept();
    await load(context, session, offer, server, signal);
    const checksums = await receiveChecksums(session, signal);
    position = positionOf(await session.finish(signal));
    // From here on the donor is free.
    await session.verified();
    progress.begin({ name: 'comparing all tables with the donor' });
    await compare(server, checksums, signal);
    log.info(`${checksums.length} tables are equal to the donor's`);
    await runStatement(server.options, setAside(), answerMsMax, signal);
    await server.stop(signal);
  }
  progress.begin({ name: 'writing the position into InnoDB' });
  await stampPosition(call, place, position, signal);
  for (const name of leftFiles) rmSync(join(place.directory, name), { force: true });
  rmSync(place.scratch, { recursive: true, force: true });
  log.info(`InnoDB recovers ${formatPosition(position)}`);
  return { position };
}

/** Grants and routines come as rows of the system's tables, which other series of releases have in another form. */
async function checkVersion(server: TemporaryServer, offer: Offer, signal: AbortSignal): Promise<void> {
  const [row] = await runStatement(server.options, 'SELECT @@version AS v', answerMsMax, signal);
  const ours = parseServerVersion(row?.get('v') ?? '', '');
  const theirs = parseServerVersion(offer.about['serverVersion'] ?? '', '');
  if (ours.major === theirs.major && ours.minor === theirs.minor) return;
  throw new BatonError('UNSUPPORTED', `the donor's server is ${theirs.text}, and this one is ${ours.text}`, {
    hint: 'method=logical takes the tables of grants and routines as they are: join with the same series, and upgrade then',
  });
}

async function load(
  { settings, progress }: TransferContext,
  session: JoinerSession,
  { estimatedBytes }: Offer,
  server: TemporaryServer,
  signal: AbortSignal,
): Promise<void> {
  using guard = new StallGuard('nothing of the dump has come or could be loaded', settings.silenceMsMax);
  const either = AbortSignal.any([signal, guard.signal]);
  // A donor that waits for a lock sends nothing and is alive; that says nothing of a server that has not taken what came before.
  let isLoading = false;
  using _alive = session.onPeerProgress(() => {
    if (!isLoading) guard.alive();
  });
  const program = findProgram('mariadb') ?? findProgram('mysql') ?? 'mariadb';
  const argv = [
    ...[program, ...connectionArguments(server.options), '--batch', '--binary-mode', '--skip-reconnect'],
    ...['--default-character-set=utf8mb4', `--max-allowed-packet=${logicalLimits.packetBytesMax}`],
  ];
  await using client = await spawnTethered(argv, { env: toolEnvironment() });
  client.stdout.resume();
  let receivedBytes = 0;
  progress.begin({ name: 'loading a dump', doneBytes: () => receivedBytes, totalBytes: estimatedBytes });
  let hasEnded = false;
  void client.exited.then(() => (hasEnded = true));
  const write = (chunk: Uint8Array): Promise<void> =>
    new Promise((resolve) => client.stdin.write(chunk, () => resolve()));
  const end = (): void => void client.terminate(0);
  either.addEventListener('abort', end, { once: true });
  try {
    await write(Buffer.from(before));
    for await (const chunk of receiveStream(session, { onProgress: (bytes) => void (receivedBytes = bytes) }, either)) {
      guard.alive();
      isLoading = true;
      await write(chunk);
      isLoading = false;
      guard.alive();
      if (hasEnded) break;
    }
    client.stdin.end();
    const exit = await client.exited;
    either.throwIfAborted();
    if (exit.code !== 0) throw loadError(exit.stderrTail);
  } finally {
    either.removeEventListener('abort', end);
  }
}

function loadError(said: string): BatonError {
  const [line = said] = said.split('\n').filter((one) => one.startsWith('ERROR'));
  return new BatonError('BACKUP_FAILED', `the temporary server has not taken the dump: ${line.slice(0, 500)}`, {
    hint: 'the options of this server have to fit what the donor has sent; let no DDL run meanwhile',
  });
}

async function receiveChecksums(session: JoinerSession, signal: AbortSignal): Promise<TableChecksum[]> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of receiveStream(session, {}, signal)) {
    bytes += chunk.byteLength;
    if (bytes > logicalLimits.checksumsBytesMax) {
      throw new BatonError('LIMIT', `the list of checksums has more than ${logicalLimits.checksumsBytesMax} bytes`);
    }
    chunks.push(Uint8Array.from(chunk));
  }
  return parseChecksums(Buffer.concat(chunks).toString());
}

/** A dump is text, and text can lose what a column holds: nothing is believed that was not compared. */
async function compare(
  server: TemporaryServer,
  checksums: readonly TableChecksum[],
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(logicalLimits.checksumMsMax)]);
  await using connection = await SqlSession.start(server.options);
  for (const { schema, name, checksum } of checksums) {
    const table = `${quoteName(schema)}.${quoteName(name)}`;
    const [answer = ''] = await connection.ask(`CHECKSUM TABLE ${table} EXTENDED;`, limit);
    const ours = answer.split('\t').at(-1);
    if (ours === checksum) continue;
    const message = `${schema}.${name} has the checksum ${ours} here, and ${checksum} on the donor`;
    throw new BatonError('DIGEST_MISMATCH', message, {
      hint: 'it holds what a dump cannot carry: use method=backup',
    });
  }
}
