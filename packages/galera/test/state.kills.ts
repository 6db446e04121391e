// Kills a process that exchanges data at one system call after the other. Between two calls that change nothing the disk stays what it is, so
// the calls that do are all the points there are.
import { readFileSync } from 'node:fs';
import { runCommand } from '@batondb/testbed/processes';
import type { DataLayout } from '../src/state/layout.ts';

/** The calls by which a swap changes something. */
const calls = ['mkdirat', 'pwrite64', 'fchmod', 'ftruncate', 'fsync', 'syncfs', 'renameat', 'renameat2', 'unlinkat'];

/** The n-th call of one kind. */
export type Kill = { readonly call: string; readonly nth: number };

/** What a child is to do. */
export type ChildStep = {
  readonly dataDirectory: string;
  readonly step: 'swap' | 'in place' | 'settle';
  readonly layout?: Omit<DataLayout, 'dataDirectory'>;
  readonly position?: string;
};

const child = new URL('state.swap-child.ts', import.meta.url).pathname;

/** Runs a child to its end, or to its n-th call. True when it was killed. */
export async function runChild(step: ChildStep, kill?: Kill): Promise<boolean> {
  const trace = kill === undefined ? [] : strace(['-o', '/dev/null', '-e', `trace=${kill.call}`, '-e', inject(kill)]);
  const { code, signal, stderr } = await runCommand([...trace, ...commandOf(step)], { env: environmentOf(step) });
  if (code === 0) return false;
  // strace ends as its child did.
  if (kill !== undefined && signal === 'SIGKILL') return true;
  throw new Error(`the child ended with ${code}: ${stderr}`);
}

/** Every point at which such a child changes something: found by one that is not killed. `log`: a file for strace. */
export async function killsOf(step: ChildStep, log: string): Promise<Kill[]> {
  const { code, stderr } = await runCommand(
    [...strace(['-o', log, '-e', `trace=${calls.join(',')}`]), ...commandOf(step)],
    {
      env: environmentOf(step),
    },
  );
  if (code !== 0) throw new Error(`the child ended with ${code}: ${stderr}`);
  const counts = new Map<string, number>();
  const kills: Kill[] = [];
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const call = /^\d+\s+([a-z0-9_]+)\(/.exec(line)?.[1];
    if (call === undefined) continue;
    const nth = (counts.get(call) ?? 0) + 1;
    counts.set(call, nth);
    kills.push({ call, nth });
  }
  return kills;
}

function strace(more: readonly string[]): string[] {
  return ['strace', '-f', '-q', ...more];
}

function inject({ call, nth }: Kill): string {
  return `inject=${call}:signal=KILL:when=${nth}`;
}

function commandOf({ dataDirectory, step }: ChildStep): string[] {
  return [process.execPath, '--conditions=batondb-source', child, dataDirectory, step];
}

function environmentOf({ layout = {}, position }: ChildStep): Record<string, string> {
  return {
    BATON_TEST_LAYOUT: JSON.stringify(layout),
    ...(position === undefined ? {} : { BATON_TEST_POSITION: position }),
  };
}
