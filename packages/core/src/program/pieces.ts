import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNode, type Processor } from './node-binary.ts';
import { findPackage, type InstalledPackage, packageIn } from './packages.ts';

// What a program of ours is made of that runs by itself elsewhere: Node, this program's modules as they are running here, and what they import.
// Nothing is built or translated: what is taken along is what runs on this machine.

/** One file of a program: content from a file of this machine, or given, or a link. */
export type Piece =
  | { readonly path: string; readonly from: string; readonly bytes: number; readonly executable: boolean }
  | { readonly path: string; readonly content: string; readonly executable: boolean }
  | { readonly path: string; readonly link: string };

/** What was found of a program. */
export type Found = {
  /** Sorted by path. */
  readonly pieces: readonly Piece[];
  /** What stands for Node's bytes in a digest; undefined when there is none. */
  readonly nodeIdentity: string | undefined;
  /** `NAME@VERSION` of what is not installed here. */
  readonly missing: readonly string[];
};

export type PiecesWanted = {
  readonly processor: Processor;
  /** Of the packages that `own` depends on, those to take along. Default: all. */
  readonly needs?: (name: string) => boolean;
  /** A directory with more installed packages, such as those for a processor that this machine does not have. Default: none. */
  readonly others?: string | undefined;
};

/** Endings of what Node loads; licences go with what they are for. */
const carried = /(\.(js|cjs|mjs|json|node)|^(LICEN[CS]E|COPYING)[^/]*)$/i;
const carriedOfOurs = /(?<!\.d)\.(js|ts)$/;
/** Of what is built into our modules. */
const carriedLicence = /^LICENSE\.[a-z]+$/;

/** `ts` or `js`: of the modules of ours that are running. */
export const moduleEnding: 'ts' | 'js' = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
/** `src` or `dist` of each package, or of what was built of it: where modules of ours run from. */
export const moduleDirectory: string = basename(dirname(dirname(fileURLToPath(import.meta.url))));
/** What Node has to be told to run such modules. */
export const nodeFlags: readonly string[] = [
  ...(moduleEnding === 'ts' ? ['--conditions=batondb-source'] : []),
  '--disable-warning=ExperimentalWarning',
];

/** Where the package that a module of ours belongs to has been put by {@link findProgram}. */
export function placeOfPackage(name: string): string {
  return name.startsWith('@batondb/') ? `packages/${name.slice('@batondb/'.length)}` : `node_modules/${name}`;
}

/** Finds Node and the modules of a package with all it depends on, for a processor: of native modules those for it. */
export function findProgram(own: InstalledPackage, wanted: PiecesWanted): Found {
  const { packages, missing } = closureOf(own, wanted);
  const node = findNode(own.directory, wanted.processor, wanted.others);
  if (node === undefined) missing.push(`node-linux-${wanted.processor}@${process.versions.node}`);
  const pieces: Piece[] = packages.flatMap((one) => piecesOf(one));
  if (node !== undefined) {
    pieces.push({ path: 'bin/node', from: node.path, bytes: statSync(node.path).size, executable: true });
    pieces.push(...licenceOf(node.path));
  }
  return { pieces: pieces.sort(byPath), nodeIdentity: node?.identity, missing };
}

/** The order of pieces, the same on every machine. */
export function byPath(a: Piece, b: Piece): number {
  return a.path < b.path ? -1 : 1;
}

function closureOf(
  own: InstalledPackage,
  { processor, needs = () => true, others }: PiecesWanted,
): { packages: InstalledPackage[]; missing: string[] } {
  const found = new Map<string, InstalledPackage>();
  const missing: string[] = [];
  const visit = (one: InstalledPackage): void => {
    if (found.has(one.name)) return;
    found.set(one.name, one);
    const natives = Object.entries(one.optional).filter(([name]) => isFor(name, processor));
    for (const [name, version] of [...Object.entries(one.dependencies), ...natives]) {
      if (one === own && !needs(name)) continue;
      const dependency = findPackage(one.directory, name) ?? exactlyIn(others, name, version);
      if (dependency === undefined) missing.push(`${name}@${version}`);
      else visit(dependency);
    }
  };
  visit(own);
  return { packages: [...found.values()], missing };
}

/** A native module for another processor, put where a person was told to; of the very version that its package wants. */
function exactlyIn(directory: string | undefined, name: string, version: string): InstalledPackage | undefined {
  const found = directory === undefined ? undefined : packageIn(directory, name);
  return found?.version === version ? found : undefined;
}

/** By its name, as all makers of native modules form it: `…-linux-x64`, `…-linux-x64-gnu`. */
function isFor(name: string, processor: Processor): boolean {
  return new RegExp(`-linux-${processor}(-gnu)?$`).test(name);
}

/** Ours lie beside one another outside of node_modules, below which Node strips no types; a link leads to them by name. */
function piecesOf(one: InstalledPackage): Piece[] {
  const isOurs = one.name.startsWith('@batondb/');
  const place = placeOfPackage(one.name);
  const names = isOurs
    ? [
        'package.json',
        ...readdirSync(one.directory).filter((name) => carriedLicence.test(name)),
        ...filesBelow(one.directory, moduleDirectory).filter((name) => carriedOfOurs.test(name)),
      ]
    : filesBelow(one.directory, '').filter((name) => carried.test(name) && !/musl/.test(name));
  const pieces = names.map((name): Piece => {
    const from = join(one.directory, name);
    return { path: `${place}/${name}`, from, bytes: statSync(from).size, executable: false };
  });
  return isOurs ? [...pieces, { path: `node_modules/${one.name}`, link: `../../${place}` }] : pieces;
}

/** Files below a directory of a package, with slashes; not those of packages inside of it. A package may have been built into others whole. */
function filesBelow(directory: string, part: string): string[] {
  if (!existsSync(join(directory, part))) return [];
  return readdirSync(join(directory, part), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
    .filter((name) => !name.split('/').includes('node_modules'));
}

function licenceOf(node: string): Piece[] {
  const from = join(dirname(node), '..', 'LICENSE');
  return existsSync(from) ? [{ path: 'LICENSE.node', from, bytes: statSync(from).size, executable: false }] : [];
}
