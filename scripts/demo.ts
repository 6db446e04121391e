import { existsSync, globSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { version } from '@batondb/core/version';
import { root } from './demo/baton.ts';
import { DemoFailure } from './demo/failure.ts';
import { replayLines, replayPage } from './demo/replay.ts';
import { Screen } from './demo/screen.ts';
import { Demo } from './demo/steps.ts';

// npm run demo: copies this checkout with its node_modules to two directories, breaks things on purpose, and checks the
// result. On this machine alone: no root, no ssh, no server.

const help = `Usage: npm run demo [-- --dir DIRECTORY]

Copies this checkout to two directories at once, kills and resumes one of the
copies, damages it, and verifies both by diff and find. Takes some 15 seconds
and 1 GB of disk.

  --dir DIRECTORY   where to work (default: .demo in the checkout); an earlier
                    demo's directories "one" and "two" there are removed`;

/** Moves an earlier demo's copies out of the way at once, and removes them while this one runs. */
async function removeEarlier(directory: string): Promise<void> {
  for (const name of ['one', 'two']) {
    if (existsSync(join(directory, name)))
      renameSync(join(directory, name), join(directory, `earlier-${name}-${Date.now()}`));
  }
  for (const name of globSync('earlier-{one,two}-*', { cwd: directory })) {
    await rm(join(directory, name), { recursive: true, force: true });
  }
}

async function show(directory: string, screen: Screen): Promise<void> {
  mkdirSync(resolve(root, directory), { recursive: true });
  const removal = removeEarlier(resolve(root, directory));
  // When a step fails first, that is what counts.
  removal.catch(() => undefined);
  screen.line('');
  screen.line(
    `${screen.paint('bold', 'Baton')} hands files and directory trees from the host that has them to the hosts that need them.`,
  );
  screen.line(
    screen.paint(
      'dim',
      `baton ${version}, Node ${process.versions.node}, ${availableParallelism()} cores; everything stays in ${directory}`,
    ),
  );
  const demo = new Demo(directory, screen);
  await demo.copyAndKill();
  const damage = demo.damage();
  await demo.resume(damage);
  await demo.verify();
  await removal;
  const lines = replayLines(demo, damage);
  writeFileSync(resolve(root, directory, 'replay.md'), replayPage(lines, root));
  screen.step(5, 'your turn', `Each step by hand, from ${root} (also in ${directory}/replay.md):`);
  for (const { about, commands } of lines) {
    screen.line(screen.paint('dim', `   # ${about}`));
    for (const command of commands) screen.line(`   ${screen.paint('cyan', command)}`);
  }
  const seconds = ((Date.now() - demo.startMs) / 1000).toFixed(0);
  screen.line('');
  screen.seen(
    `all of it took ${seconds} s; the copies are left in ${directory} (git does not see them), the next demo removes them`,
  );
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { help: { type: 'boolean' }, dir: { type: 'string' } } });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const screen = new Screen(process.stdout, process.env);
  // Baton gets the same Ctrl-C from the terminal and ends all it has started; the demo ends when baton has.
  let isInterrupted = false;
  process.on('SIGINT', () => (isInterrupted = true));
  try {
    await show(placeOf(values.dir ?? join(root, '.demo')), screen);
    return 0;
  } catch (error) {
    if (isInterrupted) return 130;
    if (!(error instanceof DemoFailure) && !isSystemError(error)) throw error;
    screen.failure(error.message);
    if (isSystemError(error)) screen.line('   hint: npm run demo -- --dir DIRECTORY works elsewhere');
    return 1;
  }
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
