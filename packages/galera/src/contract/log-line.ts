import type { Dialect } from './call.ts';

export type LogLevel = 'error' | 'warning' | 'info';

const pxcPrefixes = { error: 'ERR:', warning: 'WRN:', info: 'INF:' } as const;

/**
 * A line for our standard error, which is the server's error log. PXC sorts by the prefix and writes the time itself; MariaDB takes the line
 * as it is, so it is written as the stock scripts write theirs, which log collectors know. A line's end inside becomes a blank.
 */
export function formatLogLine(dialect: Dialect, level: LogLevel, text: string, time: Date): string {
  const line = text.replaceAll(/\s*[\r\n]+\s*/g, ' ');
  if (dialect === 'pxc') return `${pxcPrefixes[level]}${line}`;
  return `WSREP_SST: [${level.toUpperCase()}] ${line} (${formatTime(time)})`;
}

/** Local time, as the server's own lines have it: `20261121 23:45:08.123`. */
function formatTime(time: Date): string {
  const digits = (value: number, count = 2): string => String(value).padStart(count, '0');
  const day = `${time.getFullYear()}${digits(time.getMonth() + 1)}${digits(time.getDate())}`;
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map((value) => digits(value)).join(':');
  return `${day} ${clock}.${digits(time.getMilliseconds(), 3)}`;
}
