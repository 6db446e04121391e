import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { version } from '../version.ts';
import type { Processor } from './node-binary.ts';
import type { Piece } from './pieces.ts';

/**
 * A name that stands for the content of a program: version, a digest of what is in it, processor. The digest covers every byte but those of Node,
 * which its version and size stand for: they are 120 MB.
 */
export function nameOfProgram(processor: Processor, nodeIdentity: string, pieces: readonly Piece[]): string {
  const hash = createHash('sha256').update(nodeIdentity);
  for (const piece of pieces) {
    hash.update(`\0${piece.path}\0`);
    if ('link' in piece) hash.update(piece.link);
    else if ('content' in piece) hash.update(piece.content);
    else if (piece.path !== 'bin/node') hash.update(readFileSync(piece.from));
  }
  return `${version}-${hash.digest('hex').slice(0, 16)}-${processor}`;
}
