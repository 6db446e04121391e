// How values are written in option files.
import { BatonError } from '@batondb/core/errors';

const powers = ['', 'K', 'M', 'G', 'T', 'P'];

/** Bytes as servers write them: `128M` are 128 · 1024². Throws USAGE, naming the key. */
export function parseBytes(key: string, text: string): number {
  const [, number, suffix = ''] = /^(\d+)\s*([KMGTP]?)$/i.exec(text) ?? [];
  const bytes = Number(number) * 1024 ** powers.indexOf(suffix.toUpperCase());
  if (number !== undefined && Number.isSafeInteger(bytes)) return bytes;
  throw new BatonError('USAGE', `${key} is '${text}', and has to be a number of bytes`, { hint: 'write 512M, 4G, …' });
}

/** A whole number within bounds. Throws USAGE, naming the key. */
export function parseInteger(key: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (/^\d{1,15}$/.test(text) && number >= least && number <= most) return number;
  throw new BatonError('USAGE', `${key} is '${text}', and has to be a whole number from ${least} to ${most}`);
}

/** Yes or no as servers write it; an option without a value says yes. Throws USAGE, naming the key. */
export function parseBoolean(key: string, text: string): boolean {
  if (/^(1|on|yes|true|)$/i.test(text)) return true;
  if (/^(0|off|no|false)$/i.test(text)) return false;
  throw new BatonError('USAGE', `${key} is '${text}', and has to be 1 or 0`);
}

/** One of some words. Throws USAGE, naming the key. */
export function parseChoice<T extends string>(key: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text.toLowerCase());
  if (choice !== undefined) return choice;
  throw new BatonError('USAGE', `${key} is '${text}', and has to be one of ${choices.join(', ')}`);
}
