import { BatonError } from '@batondb/core/errors';
import type { Child, ChildExit } from '@batondb/core/process/child';
import { Lines } from '@batondb/core/process/lines';
import { spawnTethered } from '@batondb/core/process/tethered';
import { toolEnvironment } from './client.ts';
import { limits } from './limits.ts';

/** A backup tool at work. */
export type ToolProcess = {
  readonly child: Child;
  /** Resolves when the tool has succeeded; otherwise rejects with ACCESS_DENIED, NO_SPACE, BACKUP_FAILED or the signal's reason. */
  readonly done: Promise<void>;
};

/** How a tool is run and when it counts as done. */
export type ToolRun = {
  readonly argv: readonly string[];
  /** What it does, for errors: `the backup`. */
  readonly what: string;
  /**
   * Whether success also takes the tool's last word, `completed OK!`: some of its threads fail and leave it with exit code 0.
   * Default: true.
   */
  readonly needsLastWord?: boolean;
  /** As of `spawnChild`. */
  readonly stdout?: 'stream' | 'units';
  /** Gets every line of its stderr. */
  readonly onLine?: (line: string) => void;
};

/**
 * Starts a tool in a session of its own, so that it asks no terminal for a password. The signal ends it, and so does our own end: what
 * would go on alone would change a directory that the next attempt has taken over.
 */
export async function startTool(run: ToolRun, signal: AbortSignal): Promise<ToolProcess> {
  signal.throwIfAborted();
  let lastLine = '';
  const lines = new Lines(limits.lineBytesMax, (line) => {
    if (line.trim() !== '') lastLine = line;
    run.onLine?.(line);
  });
  const child = await spawnTethered(run.argv, {
    env: toolEnvironment(),
    stdout: run.stdout ?? 'stream',
    onStderr: (chunk) => lines.append(chunk),
  });
  // At once by SIGKILL: mariadb-backup blocks SIGTERM. Either way the server frees what the tool's connection held.
  const end = (): void => void child.terminate(0);
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  const wait = async (): Promise<void> => {
    const exit = await child.exited;
    signal.removeEventListener('abort', end);
    signal.throwIfAborted();
    lines.end();
    const hasLastWord = (run.needsLastWord ?? true) ? lastLine.trimEnd().endsWith('completed OK!') : true;
    if (exit.code !== 0 || !hasLastWord) throw toolError(run, exit);
  };
  const done = wait();
  // Whoever reads the tool's output may fail first and never ask.
  done.catch(() => undefined);
  return { child, done };
}

const linesQuotedMax = 8;

function toolError({ argv, what }: ToolRun, exit: ChildExit): BatonError {
  const program = argv[0] ?? '';
  const how =
    exit.signal !== undefined
      ? `was killed by ${exit.signal}`
      : exit.code === 0
        ? "ended without 'completed OK!'"
        : `ended with exit code ${exit.code}`;
  const words = exit.stderrTail.split('\n').slice(-linesQuotedMax).join('\n');
  const message = `${what} failed: ${program} ${how}${words === '' ? '' : `: ${words}`}`;
  const denied = /Access denied|missing required privilege/i.test(exit.stderrTail);
  if (!denied) {
    const code = isFull(exit) ? 'NO_SPACE' : 'BACKUP_FAILED';
    return new BatonError(code, message, { hint: hintFor(exit) });
  }
  return new BatonError('ACCESS_DENIED', message, {
    hint: 'a backup needs RELOAD, PROCESS, LOCK TABLES and REPLICATION CLIENT (MySQL 8: BACKUP_ADMIN too)',
  });
}

function isFull({ stderrTail }: ChildExit): boolean {
  return /No space left on device|err(?:no|code): 28\b/i.test(stderrTail);
}

function hintFor(exit: ChildExit): string {
  const { stderrTail } = exit;
  if (isFull(exit)) return 'make space, and begin with a new backup';
  if (/Too many open files|errno: 24/i.test(stderrTail)) return 'raise the limit of open files (ulimit -n)';
  return 'look at the lines of the tool above; the next attempt is a new backup';
}
