import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import { formatDuration } from '@batondb/core/text/format';
import type { Server } from '@batondb/mariadb';
import type { TransferContext } from '../context.ts';
import { flushAnswerFiles } from '../contract/lines.ts';
import { formatPosition, type GaleraPosition } from '../contract/position.ts';
import { logicalLimits } from '../logical-limits.ts';
import { domainOf } from '../position-words.ts';
import { SqlSession } from '../sql-session.ts';
import { StallGuard } from '../stall-guard.ts';
import type { DonorSession } from '../wire/donor-session.ts';
import { sendStream } from '../wire/send-stream.ts';
import { type DumpPlace, dumpSmallParts, findDump, type RowsDump, type SmallParts, startRowsDump } from './dump.ts';
import { flushTables, letGoOn } from './flush-tables.ts';
import { planDump } from './logical-checks.ts';
import { logIn } from './login.ts';
import { PrivateDirectory } from './private-directory.ts';
import { sendOptionsOf } from './send-options.ts';
import { openSnapshot, type TableSnapshot } from './table-snapshot.ts';

/** A dump of one moment, of which rows are still to be read. */
type OpenDump = {
  readonly position: GaleraPosition;
  readonly parts: SmallParts;
  readonly rows: RowsDump;
  readonly snapshot: TableSnapshot;
  /** How many there are. */
  readonly tables: number;
};

/**
 * Sends what our server holds as SQL, and a checksum of every table: the joiner may keep it in another form. The cluster waits while
 * definitions and grants are read and a snapshot is opened, and not for the rows. Returns the position of that moment.
 */
export async function sendLogical(
  context: TransferContext,
  session: DonorSession,
  signal: AbortSignal,
): Promise<GaleraPosition> {
  const { call, settings, server: options, log, progress, leftovers } = context;
  await using directory = await PrivateDirectory.make(leftovers);
  const server = await logIn(call, settings.credentials, directory, signal);
  const place = { server: server.options, program: findDump(), directory: directory.path };
  await planDump(server, signal);
  const estimatedBytes = await server.dataBytes(signal);
  const about = { serverVersion: server.version.text, lower_case_table_names: String(options.lowerCaseTableNames) };
  await session.offer({ method: 'logical', estimatedBytes, about }, signal);
  await using connection = await SqlSession.start(server.options);
  let sentBytes = 0;
  // A table that is long in one of its stages sends nothing, and is alive.
  const tell = (): void => session.progress('sending the dump', sentBytes, estimatedBytes);
  using _telling = every(Math.min(tellMsMax, settings.silenceMsMax / tellsPerSilence), tell);
  const { position, parts, rows, snapshot, tables } = await openDump(context, place, server, connection, signal);
  await using _ending = { [Symbol.asyncDispose]: () => rows.child.terminate(0) };
  progress.begin({ name: 'sending a dump', doneBytes: () => sentBytes, totalBytes: estimatedBytes });
  using guard = new StallGuard('neither the dump nor the joiner has gone on', settings.silenceMsMax);
  const sending = {
    ...sendOptionsOf(settings),
    onProgress: (bytes: number): void => {
      if (bytes !== sentBytes) guard.alive();
      sentBytes = bytes;
    },
  };
  try {
    const content = contentOf(parts, rows.content);
    await sendStream(session, { content, finished: () => rows.done }, sending, AbortSignal.any([signal, guard.signal]));
    progress.begin({ name: 'making checksums of all tables' });
    const checksums = await snapshot.checksums(
      AbortSignal.any([signal, AbortSignal.timeout(logicalLimits.checksumMsMax)]),
    );
    const lines = async function* (): AsyncGenerator<Uint8Array> {
      yield Uint8Array.from(Buffer.from(checksums.join('\n')));
    };
    await sendStream(session, { content: lines(), finished: async () => undefined }, {}, signal);
  } catch (error) {
    throw explain(error);
  }
  log.info(`${tables} tables were sent, as they were at ${formatPosition(position)}`);
  await session.finish(formatPosition(position), domainOf(position), signal);
  return position;
}

/** How often the other side hears of us at least: several times in what it takes for silence. */
const tellMsMax = 10_000;
const tellsPerSilence = 3;

function every(ms: number, act: () => void): Disposable {
  const timer = setInterval(act, ms);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Everything that has to be of one moment: the server waits for it. */
async function openDump(
  { call, settings, log, leftovers, say }: TransferContext,
  place: DumpPlace,
  server: Server,
  connection: SqlSession,
  signal: AbortSignal,
): Promise<OpenDump> {
  const { dataDirectory } = call;
  leftovers.add(join(dataDirectory, flushAnswerFiles.done));
  const beganMs = performance.now();
  let rows: RowsDump | undefined;
  try {
    const position = await flushTables(dataDirectory, say, settings.silenceMsMax, signal);
    // The cluster is not held up for longer than a silence may last.
    using guard = new StallGuard('the cluster has waited for the definitions of tables', settings.silenceMsMax);
    const either = AbortSignal.any([signal, guard.signal]);
    // Only now nobody can make another table.
    const { schemas, tables } = await planDump(server, either);
    const snapshot = await openSnapshot(connection, tables, either);
    rows = await startRowsDump(place, schemas, either);
    const [parts] = await Promise.all([dumpSmallParts(place, schemas, either), rows.opened]);
    return { position, parts, rows, snapshot, tables: tables.length };
  } catch (error) {
    await rows?.child.terminate(0);
    throw error;
  } finally {
    letGoOn(dataDirectory, say);
    log.info(`the cluster waited for ${formatDuration(performance.now() - beganMs)}`);
  }
}

async function* contentOf({ system, definitions, triggers }: SmallParts, rows: Readable): AsyncGenerator<Uint8Array> {
  for (const part of [system, definitions, rows, triggers]) {
    if (part === '') continue;
    const source = typeof part === 'string' ? createReadStream(part) : part;
    // The stream's chunks are views of larger memory.
    for await (const chunk of source) yield Uint8Array.from(chunk as Buffer);
  }
}

/** A definition that is changed meanwhile ends the dump: nobody could say of which moment it is. */
function explain(error: unknown): unknown {
  const isChanged =
    error instanceof BatonError &&
    /Table definition has changed|Deadlock found|execution was interrupted/i.test(error.message);
  if (!isChanged) return error;
  return new BatonError('BACKUP_FAILED', 'a table was changed by DDL while the tables were dumped', {
    hint: 'let no DDL run while a node joins by method=logical, or use method=backup',
    retryable: true,
    cause: error,
  });
}
