import { readFileSync } from 'node:fs';
import { bytesToText } from '@batondb/core/text/bytes';

/**
 * The words of the command line without loss. Node decodes argv as UTF-8 and puts U+FFFD for what is none, which would make
 * a path of other bytes a different path; the kernel has the bytes. The result has lone surrogates for them, as textToBytes
 * reads them.
 */
export function rawArguments(words: readonly string[]): readonly string[] {
  if (!words.some((word) => word.includes('\uFFFD'))) return words;
  const line = readFileSync('/proc/self/cmdline');
  const raw: string[] = [];
  // Each word ends with a NUL.
  for (let start = 0; start < line.length; ) {
    const end = line.indexOf(0, start);
    raw.push(bytesToText(line.subarray(start, end)));
    start = end + 1;
  }
  return raw.slice(raw.length - words.length);
}
