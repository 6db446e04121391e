import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { openNode, SqlError } from '@batondb/sqlite';
import type { Session } from '@batondb/sqlite/databases';
import { readLines } from './shell/lines.ts';
import { StatementSplitter } from './shell/splitter.ts';

// A text of SQL as a SQLite file: run by a node of its own, so that a text with an error in it comes to nothing.

/** A SQLite file. Disposing removes it if it was made. */
export type Source = AsyncDisposable & { readonly path: string };

const sqliteMagic = 'SQLite format 3\0';
/** Statements of one call, as characters. */
const callCharacters = 1_000_000;
/** Nobody waits for it, and nobody else wants to write. */
const msMax = 2 ** 31 - 1;

/** The file itself, or what its text makes. Throws NOT_FOUND, STATEMENT_FAILED with the line, NO_SPACE. */
export async function openSource(path: string, signal: AbortSignal): Promise<Source> {
  if (await isSqliteFile(path)) return { path, [Symbol.asyncDispose]: () => Promise.resolve() };
  // Beside the text: where that has room there is room for what it makes, and /tmp may be memory.
  const directory = await mkdtemp(join(dirname(resolve(path)), '.baton-load-'));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    await runText(path, directory, signal);
    return { path: join(directory, 'main.db'), [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw toBatonError(error, { path });
  }
}

async function isSqliteFile(path: string): Promise<boolean> {
  try {
    await using file = await open(path, 'r');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(sqliteMagic.length), 0, sqliteMagic.length, 0);
    return buffer.toString('latin1', 0, bytesRead) === sqliteMagic;
  } catch (error) {
    throw toBatonError(error, { path });
  }
}

async function runText(path: string, directory: string, signal: AbortSignal): Promise<void> {
  await using node = await openNode({ directory, readers: 1, transactionMsMax: msMax, statementMsMax: msMax });
  const session = await node.clients().open({ database: 'main', isReadOnly: false, resultBytesMax: 1 }, signal);
  const splitter = new StatementSplitter();
  let line = 0;
  let statements = '';
  const flush = async (): Promise<void> => {
    const text = statements;
    statements = '';
    await runStatements(session, text, `${path}, up to line ${line}`, signal);
  };
  for await (const text of readLines(createReadStream(path, 'utf8'))) {
    line += 1;
    statements += splitter
      .push(`${text}\n`)
      .map((statement) => `${statement}\n`)
      .join('');
    if (statements.length >= callCharacters) await flush();
  }
  if (!splitter.isBlank) statements += splitter.pending;
  await flush();
  if (!session.isAutocommit)
    throw new BatonError('STATEMENT_FAILED', `${path} begins a transaction and does not end it`, {
      hint: 'it is not whole',
    });
  await session.close();
}

async function runStatements(session: Session, text: string, place: string, signal: AbortSignal): Promise<void> {
  try {
    await session.sequence(text, {}, signal);
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw new BatonError('STATEMENT_FAILED', `${place}: ${error.message} (${error.sqliteExtendedCode})`, {
      cause: error,
      hint: 'nothing was loaded',
    });
  }
}
