// The passes of a dump, by the server's own mariadb-dump. What is small and has to be of one moment is written into files while the
// server waits; rows of tables come from a snapshot that was opened at that moment, while it goes on.
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import type { Child } from '@batondb/core/process/child';
import type { ServerOptions } from '@batondb/mariadb';
import { findProgram } from '@batondb/mariadb/client';
import { startTool } from '@batondb/mariadb/tool-process';
import { logicalLimits } from '../logical-limits.ts';

const names = ['mariadb-dump', 'mysqldump'] as const;

/** Where a donor's dump is at work. */
export type DumpPlace = {
  readonly server: ServerOptions;
  readonly program: string;
  /** A directory of ours that nobody else can look into. */
  readonly directory: string;
};

/** Throws UNSUPPORTED. */
export function findDump(): string {
  const program = names.map((name) => findProgram(name)).find((path) => path !== undefined);
  if (program !== undefined) return program;
  throw new BatonError('UNSUPPORTED', `this node has no ${names[0]}, which method=logical needs`, {
    hint: 'apt-get install mariadb-client',
  });
}

/** What the dump of a moment consists of, in the order in which a server takes it: views ask for functions, and rows must not fire triggers. */
export type SmallParts = { readonly system: string; readonly definitions: string; readonly triggers: string };

/** Writes what is dumped while the server waits; returns the files. */
export async function dumpSmallParts(
  place: DumpPlace,
  schemas: readonly string[],
  signal: AbortSignal,
): Promise<SmallParts> {
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const write = async (name: string, words: readonly string[]): Promise<string> => {
    const path = join(place.directory, name);
    const argv = [...commonWords(place), '--skip-lock-tables', `--result-file=${path}`, ...words];
    const { child, done } = await startTool({ argv, what: 'the dump', needsLastWord: false }, either);
    await using _ending = { [Symbol.asyncDispose]: () => child.terminate(0) };
    child.stdin.end();
    child.stdout.resume();
    await done;
    return path;
  };
  const onlyTriggers = ['--no-data', '--no-create-info', '--no-create-db', '--triggers', '--databases', '--'];
  const writing = Promise.all([
    // Routines, events and grants are rows of the schema mysql.
    write('system.sql', ['--skip-triggers', '--events', '--databases', 'mysql', 'sys']),
    schemas.length === 0
      ? ''
      : write('definitions.sql', ['--skip-triggers', '--no-data', '--databases', '--', ...schemas]),
    write('triggers.sql', [...onlyTriggers, ...schemas, 'sys']),
  ]);
  // One that fails ends the others.
  writing.catch(() => ended.abort(new BatonError('INTERRUPTED', 'another part of the dump has failed')));
  const [system, definitions, triggers] = await writing;
  return { system, definitions, triggers };
}

/** A dump of rows at work: `opened` resolves when its snapshot is there, `done` when it has ended well. */
export type RowsDump = {
  readonly child: Child;
  readonly content: Readable;
  readonly opened: Promise<void>;
  readonly done: Promise<void>;
};

/** Starts the dump of all rows. Its snapshot is opened at its start. */
export async function startRowsDump(
  place: DumpPlace,
  schemas: readonly string[],
  signal: AbortSignal,
): Promise<RowsDump> {
  const { promise: opened, resolve, reject } = Promise.withResolvers<void>();
  const argv = [
    ...commonWords(place),
    ...['--verbose', '--single-transaction', '--no-create-info', '--no-create-db', '--skip-triggers', '--dump-history'],
    ...['--skip-add-locks', '--skip-disable-keys'],
    // A server may have no schema but its own, and one has to be named.
    ...['--ignore-table=sys.sys_config', '--databases', '--', ...schemas, 'sys'],
  ];
  // What follows this line is asked within the snapshot.
  const onLine = (line: string): void => {
    if (/^-- (Setting savepoint|Retrieving|Sending)/.test(line)) resolve();
  };
  const { child, done } = await startTool({ argv, what: 'the dump', needsLastWord: false, onLine }, signal);
  child.stdin.end();
  // Node throws away what a child that has ended wrote, as long as nobody reads it.
  const content = child.stdout.pipe(new PassThrough());
  opened.catch(() => undefined);
  done.then(resolve, reject);
  return { child, content, opened, done };
}

function commonWords({ server, program }: DumpPlace): string[] {
  const { defaultsFile, socketPath, user } = server;
  return [
    program,
    // No option file of this host changes what a dump is.
    defaultsFile === undefined ? '--no-defaults' : `--defaults-file=${defaultsFile}`,
    ...['--host=localhost', '--protocol=socket', `--socket=${socketPath}`],
    ...(user === undefined ? [] : [`--user=${user}`]),
    ...['--default-character-set=utf8mb4', '--hex-blob', '--quick', '--no-tablespaces', '--skip-dump-date'],
    ...['--skip-comments', `--max-allowed-packet=${logicalLimits.packetBytesMax}`],
  ];
}
