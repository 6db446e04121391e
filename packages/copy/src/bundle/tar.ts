import { BatonError } from '@batondb/core/errors';

// Headers of a tar archive: POSIX ustar (IEEE Std 1003.1-2017, pax, "ustar Interchange Format"), as far as a bundle needs it.
// Owner, group and times are always 0, so that the same content is the same archive.

const blockBytes = 512;
const nameBytesMax = 100;
const prefixBytesMax = 155;

/** What an entry of an archive is. Paths are relative, of ASCII, and directories are not needed before their files. */
export type TarEntry =
  | { readonly kind: 'file'; readonly path: string; readonly bytes: number; readonly executable: boolean }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

/** The header of one entry, which its content follows. Throws LIMIT for a path that the format cannot hold. */
export function tarHeader(entry: TarEntry): Buffer {
  const { name, prefix } = splitPath(entry.path);
  const header = Buffer.alloc(blockBytes);
  const isLink = entry.kind === 'link';
  header.write(name, 0, 'latin1');
  // Only its owner reads or runs it: the far side's umask is no part of the contract.
  writeOctal(header, 100, 8, isLink ? 0o777 : entry.executable ? 0o700 : 0o600);
  writeOctal(header, 108, 8, 0);
  writeOctal(header, 116, 8, 0);
  writeOctal(header, 124, 12, isLink ? 0 : entry.bytes);
  writeOctal(header, 136, 12, 0);
  header.write('        ', 148, 'latin1');
  header.write(isLink ? '2' : '0', 156, 'latin1');
  if (isLink) header.write(fits(entry.target, nameBytesMax), 157, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  header.write(prefix, 345, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** What fills the last block of a file's content. */
export function tarPadding(bytes: number): Buffer {
  return Buffer.alloc((blockBytes - (bytes % blockBytes)) % blockBytes);
}

/** The end of an archive. */
export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes);

function splitPath(path: string): { name: string; prefix: string } {
  if (path.length <= nameBytesMax) return { name: path, prefix: '' };
  const slash = path.indexOf('/', path.length - nameBytesMax - 1);
  const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
  if (slash < 0) throw tooLong(path);
  return { name: fits(name, nameBytesMax), prefix: fits(prefix, prefixBytesMax) };
}

function fits(text: string, bytesMax: number): string {
  if (text.length > bytesMax) throw tooLong(text);
  return text;
}

function tooLong(path: string): BatonError {
  return new BatonError('LIMIT', `${path} is too long for a tar archive`);
}

function writeOctal(header: Buffer, offset: number, width: number, value: number): void {
  header.write(`${value.toString(8).padStart(width - 1, '0')}\0`, offset, 'latin1');
}
