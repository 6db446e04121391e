import type { Dialect } from '../contract/call.ts';
import { formatLogLine, type LogLevel } from '../contract/log-line.ts';
import { Progress } from '../report/progress.ts';

/** A script has no file of a status: it is not ours to say what it is at. */
const noStatus = { tell: (): void => undefined };

/** What a pipe says in the server's error log. */
export type PipeLog = Disposable & {
  /** A sentence that a person may want to read later. */
  readonly info: (sentence: string) => void;
  readonly progress: Progress;
};

/** `send` or `receive` is who says it. */
export function openPipeLog(kind: 'send' | 'receive', dialect: Dialect): PipeLog {
  const info = (sentence: string): void => sayOfPipe(kind, dialect, 'info', sentence);
  const progress = new Progress({ info }, noStatus);
  return { info, progress, [Symbol.dispose]: () => progress[Symbol.dispose]() };
}

export function sayOfPipe(kind: 'send' | 'receive', dialect: Dialect, level: LogLevel, sentence: string): void {
  process.stderr.write(`${formatLogLine(dialect, level, `baton galera ${kind}: ${sentence}`, new Date())}\n`);
}
