import { toErrorRecord } from '@batondb/core/errors';
import { type Logger, pino } from 'pino';
import { bugLines, failureLines } from '../failure.ts';
import type { Output } from '../output.ts';
import { printableText } from '../render/style.ts';
import type { LogLevel } from './log-level.ts';

// What a server says of itself while it runs, on stderr: for people, or for what collects JSON.

export type ServiceLog = Pick<Logger, 'error' | 'warn' | 'info' | 'debug'>;

export type LogChoice = { readonly form: 'json' | 'plain'; readonly level: LogLevel };

/** A logger of pino. Errors are logged as `err`. */
export function makeServiceLog({ form, level }: LogChoice, stderr: Pick<Output, 'write'>): ServiceLog {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
    },
    { write: (line) => void stderr.write(form === 'json' ? line : plainLine(line)) },
  );
}

/** An error with its hint; with its stack when it is the program's own fault. */
function describeError(error: unknown): Readonly<Record<string, unknown>> {
  const record = toErrorRecord(error);
  const stack = record.code === 'BUG' && error instanceof Error ? { stack: bugLines(error) } : {};
  return { ...record, ...stack };
}

type Line = {
  readonly time: string;
  readonly level: string;
  readonly msg?: string;
  readonly err?: Parameters<typeof failureLines>[0] & { readonly stack?: readonly string[] };
};

function plainLine(line: string): string {
  const { time, level, msg = '', err } = JSON.parse(line) as Line;
  const head = `${time} ${level.padEnd(5)} ${printableText(msg)}`;
  const more = err === undefined ? [] : [...failureLines(err), ...(err.stack ?? [])].map((text) => `  ${text}`);
  return [head, ...more].map((text) => `${text}\n`).join('');
}
