import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { CopyEvent, CopySummary } from '@batondb/copy/events';
import type { ErrorRecord } from '@batondb/core/errors';

/** The checkout that the demo is part of. */
export const root: string = resolve(import.meta.dirname, '../..');

/** What `baton copy --json` writes: the events of a copy, and why it was refused. */
export type DemoEvent = CopyEvent | { readonly type: 'error'; readonly error: ErrorRecord };

/** How a run of baton ended. */
export type Run = {
  readonly exitCode: number | null;
  readonly events: readonly DemoEvent[];
  readonly summary: CopySummary | undefined;
  readonly stderr: string;
};

/** Runs the checkout's `./baton` with `--json`, and hands every event to `onEvent` as it comes. */
export async function runBaton(words: readonly string[], onEvent: (event: DemoEvent) => void): Promise<Run> {
  const [command = '', ...rest] = words;
  const child = spawn(join(root, 'baton'), [command, '--json', ...rest], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolveEnd, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolveEnd(code));
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const events: DemoEvent[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as DemoEvent;
    events.push(event);
    onEvent(event);
  });
  const exitCode = await ended;
  return { exitCode, events, summary: events.find((event) => event.type === 'summary')?.summary, stderr };
}

/** The events of one type, in the order in which they came. */
export function eventsOf<T extends DemoEvent['type']>(run: Run, type: T): Extract<DemoEvent, { type: T }>[] {
  return run.events.filter((event): event is Extract<DemoEvent, { type: T }> => event.type === type);
}

/** Process ids of the agents that hold something open in a target directory; `directory` is absolute, without symlinks. */
export function findAgents(directory: string): number[] {
  const isPid = (name: string): boolean => /^\d+$/.test(name) && Number(name) !== process.pid;
  return readdirSync('/proc')
    .filter(isPid)
    .map(Number)
    .filter((pid) => openFiles(pid).some((path) => path.startsWith(`${directory}/.baton-`)));
}

function openFiles(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory).flatMap((name) => {
      try {
        return [readlinkSync(join(directory, name))];
      } catch {
        // Closed since.
        return [];
      }
    });
  } catch {
    // It has ended, or belongs to another user.
    return [];
  }
}
