// What the tests of archives share: reading one in pieces, and unpacking one into a directory.
import { closeSync, openSync, statSync } from 'node:fs';
import { type ArchiveFormat, contentOf } from '../src/archive/decompress.ts';
import type { Member } from '../src/archive/member.ts';
import { TarReader } from '../src/archive/tar-reader.ts';
import { Unpacker, type UnpackReport } from '../src/archive/unpacker.ts';
import { close } from '../src/files/libc.ts';
import { openDirectory } from '../src/files/open.ts';

/** A member with its content. */
export type Read = { readonly member: Member; readonly content: Buffer };

/** Reads an archive that comes in pieces of the given lengths, used in turn. */
export function readMembers(archive: Uint8Array, lengths: readonly number[] = [archive.length]): Read[] {
  const reader = new TarReader();
  const found: Read[] = [];
  let open: { member: Member; parts: Buffer[] } | undefined;
  for (let at = 0, turn = 0; at < archive.length; turn++) {
    const end = at + Math.max(1, lengths[turn % lengths.length] ?? 1);
    for (const event of reader.feed(archive.subarray(at, end))) {
      if (event.type === 'member') open = { member: event.member, parts: [] };
      else if (event.type === 'content') open?.parts.push(Buffer.from(event.bytes));
      else if (open !== undefined) found.push({ member: open.member, content: Buffer.concat(open.parts) });
    }
    at = end;
  }
  reader.finish();
  return found;
}

/** Unpacks an archive file as `name` in a directory. */
export async function unpackInto(
  archive: string,
  format: ArchiveFormat,
  directory: string,
  name: string,
  membersMax?: number,
): Promise<UnpackReport> {
  const parent = openDirectory(Buffer.from(directory));
  const descriptor = openSync(archive, 'r');
  try {
    using unpacker = new Unpacker(parent, Buffer.from(name), membersMax);
    const reader = new TarReader();
    const file = { descriptor, sizeBytes: statSync(archive).size, format };
    for await (const chunk of contentOf(file, () => undefined))
      for (const event of reader.feed(chunk)) unpacker.take(event);
    reader.finish();
    return unpacker.finish();
  } finally {
    closeSync(descriptor);
    close(parent);
  }
}
