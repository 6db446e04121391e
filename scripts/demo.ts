import { existsSync, globSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { version } from '@batondb/core/version';
import { root } from './demo/baton.ts';
import { CopyDemo } from './demo/copy-steps.ts';
import { DemoFailure } from './demo/failure.ts';
import { replayLines, replayPage } from './demo/replay.ts';
import { Screen } from './demo/screen.ts';
import { SqliteDemo } from './demo/sqlite-steps.ts';

// npm run demo: a database server, a replica and writers; a kill -9; a backup, copied to two directories, with another kill on the way. On this
// machine alone: no root, no ssh, free ports.

const help = `Usage: npm run demo [-- --dir DIRECTORY] [--wait SECONDS]

Serves a database to writers and a replica, kills the server with kill -9,
counts what is left, takes a backup, copies it to two directories at once,
kills and damages one of the copies, and compares. Takes half a minute and
400 MB of disk.

  --dir DIRECTORY   where to work (default: .demo in the checkout); what an
                    earlier demo left there is removed
  --wait SECONDS    time for you to kill the server yourself (default: 20 on a
                    terminal, 0 elsewhere)`;

const ownNames = ['leader', 'replica', 'backup', 'one', 'two', 'leader.log', 'replica.log'];
const waitSecondsOnTerminal = 20;

/** Moves what an earlier demo left out of the way at once, and removes it while this one runs. */
async function removeEarlier(directory: string): Promise<void> {
  for (const name of ownNames) {
    if (existsSync(join(directory, name)))
      renameSync(join(directory, name), join(directory, `earlier-${name}-${Date.now()}`));
  }
  for (const name of globSync('earlier-*-*', { cwd: directory }))
    await rm(join(directory, name), { recursive: true, force: true });
}

async function show(directory: string, waitMs: number, screen: Screen): Promise<void> {
  const startMs = Date.now();
  mkdirSync(resolve(root, directory), { recursive: true });
  const removal = removeEarlier(resolve(root, directory));
  // When a step fails first, that is what counts.
  removal.catch(() => undefined);
  screen.line('');
  screen.line(
    `${screen.paint('bold', 'Baton')} hands a database's state from the node that has it to the nodes that need it.`,
  );
  screen.line(
    screen.paint(
      'dim',
      `baton ${version}, Node ${process.versions.node}, ${availableParallelism()} cores; everything stays in ${directory}`,
    ),
  );
  await using sqlite = new SqliteDemo(directory, screen);
  await sqlite.serve();
  await sqlite.join();
  await sqlite.kill(waitMs);
  await sqlite.backup();
  const copy = new CopyDemo(directory, sqlite.backupDirectory, screen);
  await copy.copyAndKill();
  const damage = copy.damage();
  await copy.resume(damage);
  await copy.verify();
  await removal;
  const lines = replayLines(sqlite, copy, damage);
  writeFileSync(resolve(root, directory, 'replay.md'), replayPage(lines, root));
  screen.step(9, 'your turn', `Each step by hand, from ${root} (also in ${directory}/replay.md):`);
  for (const { about, commands } of lines) {
    screen.line(screen.paint('dim', `   # ${about}`));
    for (const command of commands) screen.line(`   ${screen.paint('cyan', command)}`);
  }
  const seconds = ((Date.now() - startMs) / 1000).toFixed(0);
  screen.line('');
  screen.seen(
    `all of it took ${seconds} s; what is left is in ${directory} (git does not see it), the next demo removes it`,
  );
  if (waitMs > 0) await letLook(sqlite.leader.url, screen);
}

/** The servers go on until the reader has seen enough. */
async function letLook(url: string, screen: Screen): Promise<void> {
  screen.news(`the servers still run: ${url} in a browser shows them. Enter ends them`);
  const lines = createInterface({ input: process.stdin });
  await new Promise<void>((settle) => {
    lines.once('line', () => settle());
    lines.once('close', () => settle());
  });
  lines.close();
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { help: { type: 'boolean' }, dir: { type: 'string' }, wait: { type: 'string' } },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const screen = new Screen(process.stdout, process.env);
  // Baton gets the same Ctrl-C from the terminal and ends all it has started; the demo ends when baton has.
  let isInterrupted = false;
  process.on('SIGINT', () => (isInterrupted = true));
  try {
    await show(placeOf(values.dir ?? join(root, '.demo')), waitMsOf(values.wait), screen);
    return 0;
  } catch (error) {
    if (isInterrupted) return 130;
    if (!(error instanceof DemoFailure) && !isSystemError(error)) throw error;
    screen.failure(error.message);
    if (isSystemError(error)) screen.line('   hint: npm run demo -- --dir DIRECTORY works elsewhere');
    return 1;
  }
}

function waitMsOf(given: string | undefined): number {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const seconds = given === undefined ? (isTerminal ? waitSecondsOnTerminal : 0) : Number(given);
  if (!(seconds >= 0 && seconds <= 3600)) throw new DemoFailure(`--wait takes seconds, 0 to 3600, and not ${given}`);
  return seconds * 1000;
}

/** A directory as commands in the checkout name it. */
function placeOf(directory: string): string {
  const absolute = resolve(directory);
  const place = relative(root, absolute);
  return place.startsWith('..') ? absolute : place;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'errno' in error;
}

process.exitCode = await main();
