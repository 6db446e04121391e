import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { version } from '@batondb/core/version';
import { piecesDirectory } from './local-cache.ts';
import { findNode } from './node-binary.ts';
import { findPackage, type InstalledPackage, packageIn, readPackage } from './packages.ts';
import { type Processor, piecesMissing } from './processor.ts';

// What an agent is made of, for one processor: Node, this program's modules as they are running here, and what they import.
// Nothing is built or translated: what is carried is what runs on this machine.

/** One file of a bundle: content from a file of this machine, or given, or a link. */
export type Piece =
  | { readonly path: string; readonly from: string; readonly bytes: number; readonly executable: boolean }
  | { readonly path: string; readonly content: string; readonly executable: boolean }
  | { readonly path: string; readonly link: string };

/** All of a bundle, not packed yet. */
export type Pieces = {
  readonly processor: Processor;
  /** Names the content: version, a digest of what is in it, processor. */
  readonly name: string;
  readonly pieces: readonly Piece[];
  readonly contentBytes: number;
};

/** Endings of what Node loads; licences go with what they are for. */
const carried = /(\.(js|cjs|mjs|json|node)|^(LICEN[CS]E|COPYING)[^/]*)$/i;
const carriedOfOurs = /(?<!\.d)\.(js|ts)$/;
/** Of what is built into our modules. */
const carriedLicence = /^LICENSE\.[a-z]+$/;
const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
/** `src` or `dist` of the package, or of what was built of it: where this very module runs from. */
const runningPath = dirname(dirname(fileURLToPath(import.meta.url)));
const runningFrom = basename(runningPath);

/**
 * Finds the pieces for a processor on this machine. Throws UNSUPPORTED with the command that brings them when some are not
 * installed, as is usual for the processor that this machine does not have.
 */
export function findPieces(processor: Processor): Pieces {
  const own = readPackage(realpathSync(dirname(runningPath)));
  const { packages, missing } = closureOf(own, processor);
  const node = findNode(own.directory, processor);
  if (node === undefined) missing.push(`node-linux-${processor}@${process.versions.node}`);
  if (node === undefined || missing.length > 0) throw piecesMissing(processor, missing);
  const pieces: Piece[] = [
    { path: 'bin/node', from: node.path, bytes: statSync(node.path).size, executable: true },
    ...licenceOf(node.path),
    { path: 'bin/baton', content: launcher(), executable: true },
    ...packages.flatMap((one) => piecesOf(one)),
  ];
  pieces.sort((a, b) => (a.path < b.path ? -1 : 1));
  const contentBytes = pieces.reduce((sum, piece) => sum + ('bytes' in piece ? piece.bytes : 0), 0);
  return { processor, name: nameOf(processor, node.identity, pieces), pieces, contentBytes };
}

/** A baton that is only an agent: `bin/baton agent`. */
function launcher(): string {
  const condition = ending === 'ts' ? '--conditions=batondb-source ' : '';
  return `#!/bin/sh
here=\${0%/*}
exec "$here/node" ${condition}--disable-warning=ExperimentalWarning --expose-gc "$here/../packages/copy/${runningFrom}/agent/run.${ending}" "$@"
`;
}

/** A package with all it depends on; of optional packages (native modules) those for the processor, which are needed then. */
function closureOf(own: InstalledPackage, processor: Processor): { packages: InstalledPackage[]; missing: string[] } {
  const found = new Map<string, InstalledPackage>();
  const missing: string[] = [];
  const visit = (one: InstalledPackage): void => {
    if (found.has(one.name)) return;
    found.set(one.name, one);
    const natives = Object.entries(one.optional).filter(([name]) => isFor(name, processor));
    for (const [name, wanted] of [...Object.entries(one.dependencies), ...natives]) {
      const dependency = findPackage(one.directory, name) ?? pieceOf(name, wanted);
      if (dependency === undefined) missing.push(`${name}@${wanted}`);
      else visit(dependency);
    }
  };
  visit(own);
  return { packages: [...found.values()], missing };
}

/** A native module for the other processor, put where a person was told to; of the very version that its package wants. */
function pieceOf(name: string, wanted: string): InstalledPackage | undefined {
  const directory = piecesDirectory();
  const found = directory === undefined ? undefined : packageIn(directory, name);
  return found?.version === wanted ? found : undefined;
}

/** By its name, as all makers of native modules form it: `…-linux-x64`, `…-linux-x64-gnu`. */
function isFor(name: string, processor: Processor): boolean {
  return new RegExp(`-linux-${processor}(-gnu)?$`).test(name);
}

/** Ours lie beside one another outside of node_modules, below which Node strips no types; a link leads to them by name. */
function piecesOf(one: InstalledPackage): Piece[] {
  const isOurs = one.name.startsWith('@batondb/');
  const place = isOurs ? `packages/${one.name.slice('@batondb/'.length)}` : `node_modules/${one.name}`;
  const names = isOurs
    ? [
        'package.json',
        ...readdirSync(one.directory).filter((name) => carriedLicence.test(name)),
        ...filesBelow(one.directory, runningFrom).filter((name) => carriedOfOurs.test(name)),
      ]
    : filesBelow(one.directory, '').filter((name) => carried.test(name) && !/musl/.test(name));
  const pieces = names.map((name): Piece => {
    const from = join(one.directory, name);
    return { path: `${place}/${name}`, from, bytes: statSync(from).size, executable: false };
  });
  return isOurs ? [...pieces, { path: `node_modules/${one.name}`, link: `../../${place}` }] : pieces;
}

/** Files below a directory of a package, with slashes; not those of packages inside of it. */
function filesBelow(directory: string, part: string): string[] {
  return readdirSync(join(directory, part), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
    .filter((name) => !name.split('/').includes('node_modules'));
}

function licenceOf(node: string): Piece[] {
  const from = join(dirname(node), '..', 'LICENSE');
  return existsSync(from) ? [{ path: 'LICENSE.node', from, bytes: statSync(from).size, executable: false }] : [];
}

/** The digest covers every byte but those of Node, which its version and size stand for: they are 120 MB, and read at each copy. */
function nameOf(processor: Processor, nodeIdentity: string, pieces: readonly Piece[]): string {
  const hash = createHash('sha256').update(nodeIdentity);
  for (const piece of pieces) {
    hash.update(`\0${piece.path}\0`);
    if ('link' in piece) hash.update(piece.link);
    else if ('content' in piece) hash.update(piece.content);
    else if (piece.path !== 'bin/node') hash.update(readFileSync(piece.from));
  }
  return `${version}-${hash.digest('hex').slice(0, 16)}-${processor}`;
}
