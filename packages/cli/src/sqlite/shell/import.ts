import { createReadStream } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { readCsv } from './csv.ts';
import { quoteName } from './literals.ts';
import type { Shell } from './shell.ts';

/** Rows of one way to the server and back. */
const batchRows = 500;
/** Characters of one, well below what a server reads at once. */
const batchCharacters = 1_000_000;

/**
 * Inserts the rows of a CSV file, all of them or none. A table that does not exist is made with the first row's values as names of columns.
 * Values are texts, which the columns' types convert. Throws NOT_FOUND; USAGE for a file whose rows do not fit.
 */
export async function importCsv(shell: Shell, path: string, table: string): Promise<void> {
  const isOwn = !shell.isInTransaction;
  if (isOwn) await shell.runWithEach('BEGIN IMMEDIATE', [[]]);
  try {
    await insertRows(shell, path, table);
    if (isOwn) await shell.runWithEach('COMMIT', [[]]);
  } catch (error) {
    if (isOwn && shell.isInTransaction) await shell.runWithEach('ROLLBACK', [[]]);
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error : toBatonError(error, { path });
  }
}

async function insertRows(shell: Shell, path: string, table: string): Promise<void> {
  let columns = await columnsOf(shell, table);
  let batch: (readonly string[])[] = [];
  let characters = 0;
  let line = 0;
  const flush = async (): Promise<void> => {
    const marks = Array.from({ length: columns }, () => '?').join(',');
    if (batch.length > 0) await shell.runWithEach(`INSERT INTO ${quoteName(table)} VALUES(${marks})`, batch);
    batch = [];
    characters = 0;
  };
  for await (const row of readCsv(createReadStream(path, 'utf8'))) {
    line += 1;
    if (columns === 0) {
      await makeTable(shell, table, row);
      columns = row.length;
      continue;
    }
    if (row.length !== columns)
      throw new BatonError(
        'USAGE',
        `${path}: row ${line} has ${row.length} values; the table ${table} has ${columns} columns`,
      );
    batch.push(row);
    characters += row.reduce((sum, value) => sum + value.length, 0);
    if (batch.length >= batchRows || characters >= batchCharacters) await flush();
  }
  await flush();
}

/** How many values a row has; 0 for a table that does not exist. */
async function columnsOf(shell: Shell, table: string): Promise<number> {
  let count = 0;
  for await (const rows of shell.rows(`PRAGMA table_info(${quoteName(table)})`)) count += rows.length;
  return count;
}

async function makeTable(shell: Shell, table: string, names: readonly string[]): Promise<void> {
  const columns = names.map((name) => `${quoteName(name)} TEXT`).join(', ');
  await shell.runWithEach(`CREATE TABLE ${quoteName(table)}(${columns})`, [[]]);
}
