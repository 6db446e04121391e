import { BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import { isPageSize } from '../machine/command.ts';

const databaseName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** Throws USAGE unless a database may have the name: it is a file's name, and a part of a URL. */
export function checkName(name: string): void {
  if (databaseName.test(name) && name.length <= limits.databaseNameBytesMax) return;
  throw new BatonError('USAGE', `not a name for a database: ${name.slice(0, 120)}`, {
    hint: `up to ${limits.databaseNameBytesMax} letters, digits, _, - and dots, not beginning with a dot or dash`,
  });
}

/** Throws USAGE unless a database may have pages of so many bytes. */
export function checkPageBytes(pageBytes: number): void {
  if (isPageSize(pageBytes)) return;
  throw new BatonError(
    'USAGE',
    `a page has ${limits.pageBytesMin} to ${limits.pageBytesMax} bytes, a power of two, and not ${pageBytes}`,
  );
}

/** Throws USAGE unless a text may be an idempotency key. */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes > 0 && bytes <= limits.receiptKeyBytesMax) return;
  throw new BatonError(
    'USAGE',
    `an idempotency key has 1 to ${limits.receiptKeyBytesMax} bytes, and this one has ${bytes}`,
  );
}
