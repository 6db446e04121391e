import { realpathSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BatonError } from '@batondb/core/errors';
import { nameOfProgram } from '@batondb/core/program/name';
import type { Processor } from '@batondb/core/program/node-binary';
import { type InstalledPackage, readPackage } from '@batondb/core/program/packages';
import { byPath, findProgram, nodeFlags, type Piece, placeOfPackage } from '@batondb/core/program/pieces';

/** What of the command's package the galera door needs. Its other doors stay away from a database host. */
const needed: readonly string[] = ['@batondb/core', '@batondb/galera', '@batondb/mariadb', 'commander', 'koffi'];

/** A runtime that runs by itself, not written yet. */
export type Runtime = {
  /** Names the content, and the directory. */
  readonly name: string;
  readonly pieces: readonly Piece[];
  readonly contentBytes: number;
};

/**
 * Finds what a runtime is made of on this machine. `entry` is the module of the command that is only this door. Throws UNSUPPORTED when something of
 * it is not installed here, USAGE for a command that itself lies where `library` is.
 */
export function findRuntime(entry: URL, library: string): Runtime {
  const path = realpathSync(fileURLToPath(entry));
  if (path.startsWith(`${library}/`)) {
    throw new BatonError('USAGE', `this baton is the one that is installed in ${library}`, {
      hint: 'run install by the baton that is to be installed, such as that of a newer package',
    });
  }
  const own = packageOf(path);
  const processor = process.arch as Processor;
  const found = findProgram(own, { processor, needs: (name) => needed.includes(name) });
  if (found.nodeIdentity === undefined || found.missing.length > 0) {
    const what = found.missing.join(', ');
    throw new BatonError('UNSUPPORTED', `no runtime can be made here: ${what} is not installed beside this baton`, {
      hint: 'run npm ci without --omit=optional, or use a Node of nodejs.org, which is all in one file',
    });
  }
  const module = `${placeOfPackage(own.name)}/${relative(own.directory, path)}`;
  const pieces: Piece[] = [...found.pieces, { path: 'bin/baton', content: launcher(module), executable: true }];
  pieces.sort(byPath);
  const contentBytes = pieces.reduce((sum, piece) => sum + ('bytes' in piece ? piece.bytes : 0), 0);
  return { name: nameOfProgram(processor, found.nodeIdentity, pieces), pieces, contentBytes };
}

function packageOf(module: string): InstalledPackage {
  for (let directory = dirname(module); directory !== dirname(directory); directory = dirname(directory)) {
    try {
      return readPackage(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`${module} belongs to no package`);
}

function launcher(module: string): string {
  return `#!/bin/sh
here=\${0%/*}
exec "$here/node" ${nodeFlags.join(' ')} "$here/../${module}" "$@"
`;
}
