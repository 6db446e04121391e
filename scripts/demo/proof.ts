import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { quoteWord } from '@batondb/core/text/words';
import { root } from './baton.ts';

// Whether source and copy are the same, judged by diff(1) and find(1) rather than by what made the copy.

/** What was compared, and what of it differs. */
export type Proof = { readonly entries: number; readonly differences: readonly string[] };

/** The command that compares content. */
export function diffWords(source: string, copy: string): string[] {
  return ['diff', '-r', '--no-dereference', source, copy];
}

/** The command that lists everything else of the tree it is run in: type, mode, owner, size, time in nanoseconds, where a symlink points. */
export const findWords: readonly string[] = ['find', '.', '-printf', '%P\\t%y %m %U:%G %s %T@ %l\\n'];

/** A command for people to paste. */
export function shown(words: readonly string[]): string {
  return words.map(quoteWord).join(' ');
}

/** Compares a copy with its source, content and metadata. */
export async function compare(source: string, copy: string): Promise<Proof> {
  const [diff, here, there] = await Promise.all([
    linesOf(diffWords(source, copy), root),
    linesOf(findWords, resolve(root, source)),
    linesOf(findWords, resolve(root, copy)),
  ]);
  const [left, right] = [new Set(here), new Set(there)];
  const listed = [...left.difference(right), ...right.difference(left)];
  return { entries: here.length, differences: [...diff, ...listed] };
}

function linesOf([program = '', ...args]: readonly string[], cwd: string): Promise<string[]> {
  const options = { cwd, env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((settle, reject) => {
    execFile(program, args, options, (error, stdout) => {
      // diff ends with 1 when it has found differences, and says which.
      if (error === null || (program === 'diff' && error.code === 1))
        settle(stdout.split('\n').filter((line) => line !== ''));
      else reject(error);
    });
  });
}
