import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { hostPath } from '@batondb/testbed/checkout';
import type { Sandbox } from '@batondb/testbed/sandbox';
import { isSoak } from './copy-on-bed.ts';

// A target's agent is killed at one system call after the other. `--ssh` names a script that runs it under strace, on this
// machine: between two calls that write nothing changes on the disk. strace counts the calls of each thread by itself, so
// the first thread that makes a call for the n-th time ends the agent; where that would hide a step, the path names it.

/** The end of an agent: the n-th call of a thread, of those that name the path. */
export type Kill = { readonly call: string; readonly nth: number; readonly path?: string };

/** The calls by which a target changes something. */
export const writingCalls: readonly string[] = [
  'mkdirat',
  'ftruncate',
  'pwrite64',
  'symlinkat',
  'fchmod',
  'fchown',
  'utimensat',
  'syncfs',
  'fsync',
  'renameat',
  'renameat2',
  'unlinkat',
];

/** How many calls of one kind are tried, the first of them if not in a soak. */
export const killsMax: number = isSoak ? Number.POSITIVE_INFINITY : 4;

/** A remote shell whose agents end as told; undefined: they live. */
export function makeRemoteShell(sandbox: Sandbox, kill: Kill | undefined): string {
  const path = sandbox.join(`shell-${randomUUID()}`);
  const only = kill?.path === undefined ? '' : `-P '${kill.path}'`;
  const strace =
    kill === undefined
      ? ''
      : `strace -f -q -o /dev/null -e trace=${kill.call} ${only} -e inject=${kill.call}:signal=KILL:when=${kill.nth}`;
  writeFileSync(path, `#!/bin/sh\nPATH='${hostPath}' exec ${strace} sh -c "$2"\n`, { mode: 0o755 });
  return path;
}
