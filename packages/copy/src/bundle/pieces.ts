import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nameOfProgram } from '@batondb/core/program/name';
import type { Processor } from '@batondb/core/program/node-binary';
import { readPackage } from '@batondb/core/program/packages';
import {
  byPath,
  findProgram,
  moduleDirectory,
  moduleEnding,
  nodeFlags,
  type Piece,
} from '@batondb/core/program/pieces';
import { piecesDirectory } from './local-cache.ts';
import { piecesMissing } from './pieces-missing.ts';

/** All of a bundle, not packed yet: what an agent is made of, for one processor. */
export type Pieces = {
  readonly processor: Processor;
  /** Names the content: version, a digest of what is in it, processor. */
  readonly name: string;
  readonly pieces: readonly Piece[];
  readonly contentBytes: number;
};

/** `src` or `dist` of the package, or of what was built of it: where this very module runs from. */
const runningPath = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Finds the pieces for a processor on this machine. Throws UNSUPPORTED with the command that brings them when some are not
 * installed, as is usual for the processor that this machine does not have.
 */
export function findPieces(processor: Processor): Pieces {
  const own = readPackage(realpathSync(dirname(runningPath)));
  const found = findProgram(own, { processor, others: piecesDirectory() });
  if (found.nodeIdentity === undefined || found.missing.length > 0) throw piecesMissing(processor, found.missing);
  const pieces = [...found.pieces, { path: 'bin/baton', content: launcher(), executable: true }].sort(byPath);
  const contentBytes = pieces.reduce((sum, piece) => sum + ('bytes' in piece ? piece.bytes : 0), 0);
  return { processor, name: nameOfProgram(processor, found.nodeIdentity, pieces), pieces, contentBytes };
}

/** A baton that is only an agent: `bin/baton agent`. */
function launcher(): string {
  return `#!/bin/sh
here=\${0%/*}
exec "$here/node" ${nodeFlags.join(' ')} "$here/../packages/copy/${moduleDirectory}/agent/run.${moduleEnding}" "$@"
`;
}
