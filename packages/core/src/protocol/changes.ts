import { limits } from '../limits.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';

// What happened to a piece of a unit while it was read at the source. It travels with the unit, because every host has to tell it.

/** Codes of a change on the wire and in the journal. */
export const changeCodes = { changed: 1, grew: 2, shrank: 3, vanished: 4, unreadable: 5 } as const;

export type ChangeKind = keyof typeof changeCodes;

/** `piece` counts within its unit, from 0. */
export type PieceChange = { readonly piece: number; readonly change: ChangeKind };

const kindsByCode: readonly (ChangeKind | undefined)[] = [
  undefined,
  'changed',
  'grew',
  'shrank',
  'vanished',
  'unreadable',
];

/** Layout: varint count, then for each: varint piece, u8 change. Pieces ascend. */
export function writeChanges(writer: ByteWriter, changes: readonly PieceChange[]): void {
  writer.varint(changes.length);
  for (const { piece, change } of changes) writer.varint(piece).u8(changeCodes[change]);
}

/** Reads what {@link writeChanges} wrote; refuses pieces that do not ascend, so that a list has one form. */
export function readChanges(reader: ByteReader): PieceChange[] {
  const count = reader.count('changes count', limits.unitPiecesMax, 2);
  const changes: PieceChange[] = [];
  let previous = -1;
  for (let index = 0; index < count; index++) {
    const piece = reader.varint('changes piece', limits.unitPiecesMax - 1);
    if (piece <= previous)
      throw reader.protocolError('changes piece', piece, `it must be above the one before, ${previous}`);
    const code = reader.u8('changes change');
    const change = kindsByCode[code];
    if (change === undefined) throw reader.protocolError('changes change', code, 'only 1 to 5 are known');
    changes.push({ piece, change });
    previous = piece;
  }
  return changes;
}
