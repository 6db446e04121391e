import { execFile } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { quoteWord } from '@batondb/core/text/words';
import { root } from './baton.ts';

// Whether source and copy are the same, judged by diff(1) and find(1) rather than by what made the copy.

/** What was compared, and what of it differs. */
export type Proof = {
  readonly entries: number;
  /** Paths that differ although nobody has touched the source since the demo began, each with what differs. */
  readonly differences: readonly string[];
  /** Paths that somebody changed in the source meanwhile. */
  readonly changedMeanwhile: readonly string[];
};

const leftOut = ['.git', '.demo'];

/** Type, mode, owner, size (of a directory it says nothing), time in nanoseconds, and where a symlink points. */
function findFormat(hasOwner: boolean): { readonly directory: string; readonly other: string } {
  const owner = hasOwner ? ' %U:%G' : '';
  return { directory: `%P\\t%y %m${owner} %T@\\n`, other: `%P\\t%y %m${owner} %s %T@ %l\\n` };
}

/** The command that compares content. */
export function diffWords(copy: string): string[] {
  return ['diff', '-rq', '--no-dereference', ...leftOut.map((name) => `--exclude=${name}`), '.', copy];
}

/** The command that lists everything else of the tree it is run in. */
export function findWords(hasOwner: boolean): string[] {
  const { directory, other } = findFormat(hasOwner);
  const pruned = leftOut.flatMap((name, index) => [...(index === 0 ? [] : ['-o']), '-path', `./${name}`]);
  return ['find', '.', '(', ...pruned, ')', '-prune', '-o', '-type', 'd', '-printf', directory, '-o', '-printf', other];
}

/** A command for people to paste. */
export function shown(words: readonly string[]): string {
  return words.map((word) => (word === '(' || word === ')' ? `\\${word}` : quoteWord(word))).join(' ');
}

/** Compares a copy with the checkout, content and metadata. */
export async function compare(copy: string, hasOwner: boolean, sinceMs: number): Promise<Proof> {
  const [diff, here, there] = await Promise.all([
    run(diffWords(copy), root),
    run(findWords(hasOwner), root),
    run(findWords(hasOwner), resolve(root, copy)),
  ]);
  const [left, right] = [parseListing(here), parseListing(there)];
  const found = new Map<string, string>();
  for (const [path, fields] of left)
    if (right.get(path) !== fields) found.set(path, `${fields} ≠ ${right.get(path) ?? 'missing'}`);
  for (const path of right.keys()) if (!left.has(path)) found.set(path, 'only in the copy');
  for (const path of differingContent(diff)) found.set(path, 'content');
  const changedMeanwhile = [...found.keys()].filter((path) => hasChangedSince(path, sinceMs));
  const differences = [...found]
    .filter(([path]) => !changedMeanwhile.includes(path))
    .map(([path, what]) => `${path}: ${what}`);
  return { entries: left.size, differences, changedMeanwhile };
}

function parseListing(listing: string): Map<string, string> {
  const lines = listing.split('\n').filter((line) => line !== '');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('\t')), line.slice(line.indexOf('\t') + 1)]));
}

/** What `diff -q` says differs, by path; what is on one side only is for the listings to tell. */
function differingContent(output: string): string[] {
  const lines = output.split('\n').filter((line) => line !== '' && !line.startsWith('Only in '));
  return lines.map((line) => / \.\/(.+) and \S+ differ$/.exec(line)?.[1] ?? line);
}

function hasChangedSince(path: string, sinceMs: number): boolean {
  try {
    return lstatSync(join(root, path)).ctimeMs >= sinceMs;
  } catch {
    // Gone since.
    return true;
  }
}

function run([program = '', ...args]: readonly string[], cwd: string): Promise<string> {
  const options = { cwd, env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 256 * 1024 * 1024 };
  return new Promise((resolveOutput, reject) => {
    execFile(program, args, options, (error, stdout) => {
      // diff ends with 1 when it has found differences, and says which.
      if (error === null || (program === 'diff' && error.code === 1)) resolveOutput(stdout);
      else reject(error);
    });
  });
}
