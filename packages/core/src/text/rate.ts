import { BatonError } from '../errors.ts';

const powers: Readonly<Record<string, number>> = { '': 0, k: 1, K: 1, M: 2, G: 3, T: 4 };
// A lone `b` is refused: `200Mb` is bits to some readers and bytes to others, eight times apart.
const pattern = /^(?<number>\d+(?:\.\d+)?)\s*(?<power>[kKMGT]?)(?<binary>i?)(?<unit>B|bit|)(?:\/s)?$/;

/**
 * A rate in bytes per second: `200MB` (200,000,000), `200MiB`, `800Mbit` (100,000,000), `1.5GB`, `5000000`.
 * Bytes unless it says `bit`; a trailing `/s` is welcome. Throws USAGE.
 */
export function parseByteRate(text: string): number {
  const groups = pattern.exec(text.trim())?.groups;
  const power = powers[groups?.['power'] ?? ''] ?? 0;
  if (groups === undefined || (groups['binary'] === 'i' && power === 0)) throw badRate(text, 'is not a rate');
  const base = groups['binary'] === 'i' ? 1024 : 1000;
  const bytes = Math.floor((Number(groups['number']) * base ** power) / (groups['unit'] === 'bit' ? 8 : 1));
  if (bytes < 1) throw badRate(text, 'is less than one byte per second');
  if (!Number.isSafeInteger(bytes)) throw badRate(text, 'is more than can be counted');
  return bytes;
}

function badRate(text: string, what: string): BatonError {
  return new BatonError('USAGE', `'${text}' ${what}`, {
    hint: 'write 200MB, 200MiB, 800Mbit, or a number of bytes per second',
  });
}
