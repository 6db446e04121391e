import { freeSpace } from '@batondb/core/files/space';
import { textToBytes } from '@batondb/core/text/bytes';
import { selfTestLine } from './verify-runtime.ts';

/** Loads all that a transfer needs, and calls into its native modules. Throws whatever is missing. */
export async function selfTest(): Promise<string> {
  await import('../sst.ts');
  freeSpace(textToBytes('/'));
  return selfTestLine;
}
