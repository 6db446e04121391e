import { isIP } from 'node:net';
import type { Compression } from '@batondb/copy/options';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { textToBytes } from '@batondb/core/text/bytes';
import { parseByteRate } from '@batondb/core/text/rate';
import { nearestName } from '@batondb/core/text/suggest';
import { splitWords } from '@batondb/core/text/words';

// From the words of options to their values. Each throws USAGE with what would be right.

/** What zstd's own command line offers without --ultra. */
const zstdLevelMax = 19;
/** Measured: the level whose speed a disk or a link does not wait for. */
const zstdLevelDefault = 1;

/** Of an option that is repeated: all of its values. */
export function collect(text: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, text];
}

/** A whole number between two bounds, both included. */
export function parseWhole(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw usage(`${name} is a whole number from ${min} to ${max}, not '${text}'`);
  };
}

/** One of some words. */
export function parseChoice<const Choice extends string>(
  name: string,
  choices: readonly Choice[],
): (text: string) => Choice {
  return (text) => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice !== undefined) return choice;
    const near = nearestName(text, choices);
    throw usage(
      `${name} is ${choices.join(' or ')}, not '${text}'`,
      near === undefined ? undefined : `did you mean ${near}?`,
    );
  };
}

/** `auto`, `none`, `zstd`, `zstd:7`. */
export function parseCompression(text: string): Compression {
  if (text === 'auto' || text === 'none') return { mode: text };
  const level = /^zstd(?::(?<level>\d+))?$/.exec(text);
  const value = Number(level?.groups?.['level'] ?? zstdLevelDefault);
  if (level !== null && value >= 1 && value <= zstdLevelMax) return { mode: 'zstd', level: value };
  throw usage(`--compress is auto, none, zstd or zstd:LEVEL with a level from 1 to ${zstdLevelMax}, not '${text}'`);
}

/** The remote shell's words. */
export function parseSsh(text: string): string[] {
  const words = splitWords(text);
  if (words.length === 0) throw usage('--ssh is empty', "write --ssh ssh, or --ssh 'ssh -F my.conf'");
  return words;
}

/** Where baton is on a host: one path. */
export function parseAgent(text: string): string {
  if (text === '' || text.startsWith('-') || text.includes('\0'))
    throw usage(`--agent is the path of baton on the hosts, not '${text}'`);
  return text;
}

/** An address or network (CIDR) to listen on. */
export function parseBind(text: string): string {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address.replace(/^\[(.*)\]$/, '$1'));
  const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
  if (family === 0 || !isPrefix || rest.length > 0) {
    throw usage(`--bind is an address or network, not '${text}'`, 'write 10.0.0.7, 10.0.0.0/8 or 2001:db8::/32');
  }
  return text.replace(/[[\]]/g, '');
}

/** One path component. */
export function parseName(text: string): string {
  const isName = text !== '' && text !== '.' && text !== '..' && !/[/\0]/.test(text);
  if (!isName) throw usage(`--as is one name without slashes, not '${text}'`);
  if (textToBytes(text).length > limits.nameBytesMax) throw usage(`--as is longer than ${limits.nameBytesMax} bytes`);
  return text;
}

/** An amount of memory, bytes: 1GiB, 500MB. */
export function parseMemory(name: string): (text: string) => number {
  return (text) => {
    try {
      return parseByteRate(text);
    } catch {
      throw usage(`${name} is an amount of memory, not '${text}'`, 'write 1GiB, 500MB, or a number of bytes');
    }
  };
}

const msOfUnit: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };
/** What a timer can wait for: a little less than 25 days. */
const durationMsMax = 2 ** 31 - 1;

/** A duration, milliseconds: 500ms, 30s, 5min, 1h, 2d. A number without a unit is refused: to some readers it is seconds, to others milliseconds. */
export function parseDuration(name: string): (text: string) => number {
  return (text) => {
    const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)$/.exec(text.trim()) ?? [];
    const ms = Math.round(Number(number) * (msOfUnit[unit] ?? 0));
    if (ms >= 1 && ms <= durationMsMax) return ms;
    throw usage(`${name} is a duration of up to 24 days, not '${text}'`, 'write 500ms, 30s, 5min, 1h or 2d');
  };
}

/** `user` or `user:group`, by name or number. */
export function parseOwner(text: string): string {
  if (/^[a-z0-9_][a-z0-9_.-]*(:[a-z0-9_][a-z0-9_.-]*)?$/i.test(text)) return text;
  throw usage(`--owner is a user, or user:group, not '${text}'`, 'write mysql:mysql');
}

/** A path that means the same wherever a process is. */
export function parseAbsolute(name: string): (text: string) => string {
  return (text) => {
    if (text.startsWith('/') && !text.includes('\0')) return text;
    throw usage(`${name} is an absolute path, not '${text}'`);
  };
}

/** A command for bash. */
export function parseCommand(text: string): string {
  if (text.trim() === '' || text.includes('\0')) throw usage('--exec is empty, or holds a NUL byte');
  return text;
}

/** A pattern; an empty one would leave out nothing and is a typo. */
export function parsePattern(text: string): string {
  if (text.trim() === '') throw usage('--exclude is empty');
  return text;
}

export function usage(message: string, hint?: string): BatonError {
  return new BatonError('USAGE', message, hint === undefined ? {} : { hint });
}
