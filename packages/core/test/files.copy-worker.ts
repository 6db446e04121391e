// Copies every parts-th piece of base/source to base/copy, whose directories exist.
import { workerData } from 'node:worker_threads';
import { openTree, piecesOf, walkAll } from './files.copy-tree.ts';

const { base, part, parts } = workerData as { base: string; part: number; parts: number };
const { entries } = walkAll(`${base}/source`);
using from = openTree(`${base}/source`, entries);
using to = openTree(`${base}/copy`, entries);
let count = 0;
for (const [index, entry] of entries.entries()) {
  for (const { offset, length } of piecesOf(entry)) {
    count += 1;
    if (count % parts !== part) continue;
    const content = new Uint8Array(new SharedArrayBuffer(length));
    const { change } = from.reader.readPiece(index, offset, content);
    if (change !== undefined) throw new Error(`piece ${offset} of entry ${index} ${change}`);
    if (entry.kind === 'file' && length === entry.sizeBytes) to.writer.writeWholeFile(index, content);
    else to.writer.writePiece(index, offset, content);
  }
}
