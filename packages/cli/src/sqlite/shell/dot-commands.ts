import { createReadStream } from 'node:fs';
import { toBatonError } from '@batondb/core/files/system-error';
import { nearestName } from '@batondb/core/text/suggest';
import { splitWords } from '@batondb/core/text/words';
import { usage } from '../../option-values.ts';
import { dump } from './dump.ts';
import { modes } from './formats.ts';
import { importCsv } from './import.ts';
import { readLines } from './lines.ts';
import type { Shell } from './shell.ts';
import { fileSink } from './sink.ts';

// The commands of a shell that are not SQL. Their names and meanings are those of SQLite's own shell.

type DotCommand = {
  readonly operands: string;
  readonly meaning: string;
  readonly operandsMin?: number;
  readonly run: (shell: Shell, operands: readonly string[]) => Promise<void>;
};

const commands: Readonly<Record<string, DotCommand>> = {
  databases: { operands: '', meaning: 'names of all databases', run: showDatabases },
  dump: { operands: '', meaning: 'the database as SQL text', run: writeDump },
  headers: { operands: 'on|off', meaning: 'names of columns above rows', operandsMin: 1, run: setHeaders },
  help: { operands: '', meaning: 'this list', run: showHelp },
  import: {
    operands: 'FILE TABLE',
    meaning: 'rows of a CSV file; a table that does not exist is made, with the names of the first row',
    operandsMin: 2,
    run: (shell, [path = '', table = '']) => importCsv(shell, path, table),
  },
  indexes: { operands: '[TABLE]', meaning: 'names of indexes', run: showIndexes },
  mode: { operands: modes.join('|'), meaning: 'how rows are shown', operandsMin: 1, run: setMode },
  output: { operands: '[FILE]', meaning: 'write rows to a file, or again to standard output', run: setOutput },
  quit: { operands: '', meaning: 'end the shell; an open transaction is rolled back', run: quit },
  read: { operands: 'FILE', meaning: 'run a file, up to its first error', operandsMin: 1, run: readScript },
  schema: {
    operands: '[TABLE]',
    meaning: 'the statements that make tables, indexes, triggers and views',
    run: showSchema,
  },
  tables: {
    operands: '[PATTERN]',
    meaning: 'names of tables and views, those that are LIKE a pattern',
    run: showTables,
  },
  timer: { operands: 'on|off', meaning: 'the time that each statement took', operandsMin: 1, run: setTimer },
};

/** Other names by which people know them. */
const aliases: Readonly<Record<string, string>> = { exit: 'quit', indices: 'indexes' };

/** Runs a line that begins with a dot. Throws USAGE for one that is no command. */
export async function runDotCommand(shell: Shell, line: string): Promise<void> {
  const [word = '', ...operands] = splitWords(line.slice(1));
  const name = aliases[word] ?? word;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const near = nearestName(word, Object.keys(commands));
    throw usage(`there is no command .${word}`, near === undefined ? '.help lists them' : `did you mean .${near}?`);
  }
  const { operandsMin = 0 } = command;
  const operandsMax = command.operands === '' ? 0 : Math.max(1, operandsMin);
  if (operands.length < operandsMin || operands.length > operandsMax)
    throw usage(`.${name} is not said like that`, `write .${name} ${command.operands}`.trimEnd());
  await command.run(shell, operands);
}

async function showDatabases(shell: Shell): Promise<void> {
  const names = await shell.target.databases(shell.signal);
  await shell.show(
    ['database'],
    names.map((name) => [name]),
  );
}

/** In one transaction, so that it is one state. One that is open already is used, and left open. */
async function writeDump(shell: Shell): Promise<void> {
  const isOwn = !shell.isInTransaction;
  if (isOwn) await runQuietly(shell, 'BEGIN');
  try {
    for await (const text of dump((sql) => shell.rows(sql))) await shell.write(text);
  } finally {
    if (isOwn && shell.isInTransaction) await runQuietly(shell, 'ROLLBACK');
  }
}

async function runQuietly(shell: Shell, sql: string): Promise<void> {
  await shell.runWithEach(sql, [[]]);
}

async function setHeaders(shell: Shell, [word = '']: readonly string[]): Promise<void> {
  shell.settings.hasHeaders = isOn('.headers', word);
}

async function setTimer(shell: Shell, [word = '']: readonly string[]): Promise<void> {
  shell.settings.hasTimer = isOn('.timer', word);
}

async function setMode(shell: Shell, [word = '']: readonly string[]): Promise<void> {
  const mode = modes.find((one) => one === word);
  if (mode === undefined) throw usage(`.mode is ${modes.join(', ')}, not '${word}'`);
  shell.settings.mode = mode;
}

function isOn(name: string, word: string): boolean {
  if (word === 'on' || word === 'off') return word === 'on';
  throw usage(`${name} is on or off, not '${word}'`);
}

async function setOutput(shell: Shell, [path]: readonly string[]): Promise<void> {
  await shell.redirect(path === undefined ? undefined : await fileSink(path));
}

async function quit(shell: Shell): Promise<void> {
  shell.isAtEnd = true;
}

async function readScript(shell: Shell, [path = '']: readonly string[]): Promise<void> {
  const { signal } = shell;
  try {
    for await (const line of readLines(createReadStream(path, 'utf8'))) {
      signal.throwIfAborted();
      await shell.line(line);
      if (shell.isAtEnd) return;
    }
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error : toBatonError(error, { path });
  }
  await shell.end();
}

async function showHelp(shell: Shell): Promise<void> {
  const lines = Object.entries(commands).map(([name, { operands, meaning }]) => {
    return `${`.${name} ${operands}`.padEnd(36)} ${meaning}\n`;
  });
  await shell.write(lines.join(''));
}

async function showSchema(shell: Shell, [table]: readonly string[]): Promise<void> {
  const which = table === undefined ? '' : 'AND tbl_name LIKE ?1';
  const sql = `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ${which} ORDER BY rowid`;
  for await (const rows of shell.rows(sql, table === undefined ? [] : [table]))
    await shell.write(rows.map(([text]) => `${String(text)};\n`).join(''));
}

async function showTables(shell: Shell, [pattern = '%']: readonly string[]): Promise<void> {
  const sql =
    "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name LIKE ?1 ORDER BY 1";
  await showNames(shell, sql, [pattern]);
}

async function showIndexes(shell: Shell, [table = '%']: readonly string[]): Promise<void> {
  await showNames(shell, "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name LIKE ?1 ORDER BY 1", [
    table,
  ]);
}

/** Names alone, one a line, in whatever form rows are shown: that is what scripts want. */
async function showNames(shell: Shell, sql: string, values: readonly string[]): Promise<void> {
  for await (const rows of shell.rows(sql, values))
    await shell.write(rows.map(([name]) => `${String(name)}\n`).join(''));
}
