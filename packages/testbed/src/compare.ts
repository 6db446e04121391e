// Whether two trees are the same, field by field, judged by the system's tools alone (see tree-listing.ts).
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  absoluteBytes,
  firstDifference,
  hashFiles,
  type ListedEntry,
  type Listing,
  listTree,
  showPath,
} from './tree-listing.ts';

/** What is compared. Every default in one place: {@link compareDefaults}. */
export type CompareOptions = {
  readonly content?: boolean;
  readonly owner?: boolean;
  readonly mode?: boolean;
  readonly modifyTime?: boolean;
  /** Reading a tree changes its access times, so this needs a source that was not read since. */
  readonly accessTime?: boolean;
  /** Attributes, and with them access lists and capabilities. */
  readonly xattrs?: boolean;
  /** Attributes whose names match are not compared. */
  readonly ignoreXattrs?: RegExp | undefined;
  /** Which names are names of the same file, within each tree. */
  readonly hardlinks?: boolean;
  /** Space in use, with a tolerance, which tells whether holes stayed holes. */
  readonly blocks?: boolean;
  /** Sizes of directories, which depend on their history. */
  readonly directorySizes?: boolean;
  /** False: sockets need not be in `b`. */
  readonly sockets?: boolean;
  /** Paths below the root that are left out with all below them. */
  readonly ignore?: readonly string[];
  /** Differences told before the rest is only counted. */
  readonly differencesMax?: number;
};

export const compareDefaults: Required<CompareOptions> = {
  content: true,
  owner: true,
  mode: true,
  modifyTime: true,
  accessTime: false,
  xattrs: true,
  ignoreXattrs: undefined,
  hardlinks: true,
  blocks: true,
  directorySizes: false,
  sockets: true,
  ignore: [],
  differencesMax: 100,
};

/** Larger files are compared byte by byte, which also tells where they differ; smaller ones by digests, many at a time. */
const cmpBytesMin = 16 * 1024 * 1024;
/** A file system may need a few blocks more for a file's map, or for a tail it keeps elsewhere. Blocks of 512 bytes. */
const blocksTolerance = 256;

type Settings = Required<CompareOptions>;

/**
 * Compares two trees (or two files) and returns a line per difference: path, field and both values, `a` first. Empty: they
 * are the same. Copes with any name, paths beyond PATH_MAX, and 20,000 files in a few seconds.
 */
export async function compareTrees(a: string, b: string, options: CompareOptions = {}): Promise<string[]> {
  const settings: Settings = { ...compareDefaults, ...options };
  const [rootA, rootB] = [resolve(a), resolve(b)];
  const [listingA, listingB] = await Promise.all([listTree(rootA), listTree(rootB)]);
  const left = selected(listingA, settings);
  const right = selected(listingB, settings);
  const differences: string[] = [];
  const pairs: [ListedEntry, ListedEntry][] = [];
  for (const [path, entryA] of left) {
    const entryB = right.get(path);
    if (entryB !== undefined) pairs.push([entryA, entryB]);
    else differences.push(`${showPath(path)}: missing in ${b}`);
  }
  for (const path of right.keys()) if (!left.has(path)) differences.push(`${showPath(path)}: only in ${b}`);
  for (const [entryA, entryB] of pairs) differences.push(...compareEntries(entryA, entryB, settings));
  if (settings.hardlinks) differences.push(...compareHardlinks(left, right));
  if (settings.content) differences.push(...(await compareContent(rootA, rootB, pairs)));
  return shortened(differences, settings.differencesMax);
}

function shortened(differences: string[], most: number): string[] {
  if (differences.length <= most) return differences;
  return [...differences.slice(0, most), `… and ${differences.length - most} differences more`];
}

function selected(listing: Listing, settings: Settings): Map<string, ListedEntry> {
  const ignored = settings.ignore.map((path) => Buffer.from(path).toString('latin1').replace(/\/+$/, ''));
  const kept = new Map<string, ListedEntry>();
  for (const [path, entry] of listing) {
    if (entry.type === 's' && !settings.sockets) continue;
    if (!ignored.some((prefix) => path === prefix || path.startsWith(`${prefix}/`))) kept.set(path, entry);
  }
  return kept;
}

function compareEntries(a: ListedEntry, b: ListedEntry, settings: Settings): string[] {
  const found: string[] = [];
  const check = (field: string, valueA: string | number, valueB: string | number): void => {
    if (valueA !== valueB) found.push(`${showPath(a.path)}: ${field} ${cut(valueA)} ≠ ${cut(valueB)}`);
  };
  check('type', a.type, b.type);
  if (a.type !== b.type) return found;
  if (settings.mode) check('mode', a.mode, b.mode);
  if (settings.owner) check('uid', a.uid, b.uid);
  if (settings.owner) check('gid', a.gid, b.gid);
  if (a.type !== 'd' || settings.directorySizes) check('size', a.sizeBytes, b.sizeBytes);
  if (settings.modifyTime) check('mtime', a.modifyTime, b.modifyTime);
  if (settings.accessTime) check('atime', a.accessTime, b.accessTime);
  check('target', a.target, b.target);
  check('device', a.device, b.device);
  if (settings.xattrs) found.push(...compareXattrs(a, b, settings));
  if (settings.blocks && a.type === 'f' && Math.abs(a.blocks - b.blocks) > blocksTolerance + a.blocks / 50)
    check('blocks', a.blocks, b.blocks);
  return found;
}

const cut = (value: string | number): string => {
  const text = typeof value === 'number' ? String(value) : showPath(value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
};

function compareXattrs(a: ListedEntry, b: ListedEntry, { ignoreXattrs }: Settings): string[] {
  const values = (entry: ListedEntry): Map<string, string> => {
    // A name may contain `=`, which getfattr does not quote; a value in hexadecimal does not.
    const split = entry.xattrs.map((line): [string, string] => [
      line.slice(0, line.lastIndexOf('=')),
      line.slice(line.lastIndexOf('=') + 1),
    ]);
    return new Map(split.filter(([name]) => ignoreXattrs?.test(name) !== true));
  };
  const [left, right] = [values(a), values(b)];
  const found: string[] = [];
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const [valueA, valueB] = [left.get(name), right.get(name)];
    if (valueA !== valueB)
      found.push(`${showPath(a.path)}: xattr ${name} ${cut(valueA ?? 'missing')} ≠ ${cut(valueB ?? 'missing')}`);
  }
  return found;
}

/** Names of the same file by path; the groups of both trees must be the same. */
function hardlinkGroups(listing: ReadonlyMap<string, ListedEntry>): Map<string, string> {
  const byIdentity = new Map<string, string[]>();
  for (const { path, type, identity } of listing.values()) {
    if (type === 'd') continue;
    const group = byIdentity.get(identity);
    if (group === undefined) byIdentity.set(identity, [path]);
    else group.push(path);
  }
  const byPath = new Map<string, string>();
  for (const group of byIdentity.values()) {
    const text = group.length === 1 ? 'none' : group.sort().map(showPath).join(', ');
    for (const path of group) byPath.set(path, text);
  }
  return byPath;
}

function compareHardlinks(a: ReadonlyMap<string, ListedEntry>, b: ReadonlyMap<string, ListedEntry>): string[] {
  const [left, right] = [hardlinkGroups(a), hardlinkGroups(b)];
  const found: string[] = [];
  for (const [path, group] of left) {
    const other = right.get(path);
    if (other !== undefined && other !== group) found.push(`${showPath(path)}: hardlinks ${group} ≠ ${other}`);
  }
  return found;
}

async function compareContent(
  rootA: string,
  rootB: string,
  pairs: readonly [ListedEntry, ListedEntry][],
): Promise<string[]> {
  const seen = new Set<string>();
  const small: [ListedEntry, ListedEntry][] = [];
  const large: [ListedEntry, ListedEntry][] = [];
  for (const pair of pairs) {
    const [a, b] = pair;
    // A different size is told already, and all names of one file have one content.
    if (a.type !== 'f' || b.type !== 'f' || a.sizeBytes !== b.sizeBytes || a.sizeBytes === 0) continue;
    const both = `${a.identity} ${b.identity}`;
    if (seen.has(both)) continue;
    seen.add(both);
    const isLong = Math.max(absoluteBytes(rootA, a.path).length, absoluteBytes(rootB, b.path).length) > 4000;
    if (a.sizeBytes >= cmpBytesMin && !isLong) large.push(pair);
    else small.push(pair);
  }
  const [digestsA, digestsB] = await Promise.all([
    hashFiles(
      rootA,
      small.map(([a]) => a),
    ),
    hashFiles(
      rootB,
      small.map(([, b]) => b),
    ),
  ]);
  const found: string[] = [];
  for (const [{ path }] of small) {
    const [digestA = '', digestB = ''] = [digestsA.get(path), digestsB.get(path)];
    if (digestA !== digestB)
      found.push(`${showPath(path)}: content sha256 ${digestA.slice(0, 16)}… ≠ ${digestB.slice(0, 16)}…`);
  }
  for (const [{ path, sizeBytes }] of large) {
    const offset = await firstDifference(absoluteBytes(rootA, path), absoluteBytes(rootB, path));
    if (offset !== undefined)
      found.push(`${showPath(path)}: content of ${sizeBytes} bytes differs from byte ${offset} on`);
  }
  return found;
}

/** All of a directory at one time: even a file that was rewritten with the same content shows. */
export type Fingerprint = ReadonlyMap<string, string>;

/** Takes a fingerprint of a directory, to prove later that nothing else in it has changed. `ignore` as in CompareOptions. */
export async function fingerprintDirectory(
  directory: string,
  options: Pick<CompareOptions, 'ignore'> = {},
): Promise<Fingerprint> {
  const root = realpathSync(directory);
  const entries = [...selected(await listTree(root), { ...compareDefaults, ...options }).values()];
  const digests = await hashFiles(
    root,
    entries.filter(({ type }) => type === 'f'),
  );
  const fingerprint = new Map<string, string>();
  for (const entry of entries) {
    const { path, type, mode, uid, gid, identity, target, device, xattrs } = entry;
    // The root's times change with any name made in it, and a directory's size with its history.
    const times = path === '' ? '' : `mtime ${entry.modifyTime} ctime ${entry.changeTime}`;
    const size = type === 'd' ? '' : `size ${entry.sizeBytes}`;
    fingerprint.set(
      path,
      [
        `type ${type} mode ${mode} uid ${uid} gid ${gid} inode ${identity}`,
        size,
        times,
        target,
        device,
        digests.get(path) ?? '',
        ...xattrs,
      ].join(' '),
    );
  }
  return fingerprint;
}

/** What changed between two fingerprints, a line each; names in `ignore` are left out on both sides. */
export function compareFingerprints(before: Fingerprint, after: Fingerprint, ignore: readonly string[] = []): string[] {
  const isIgnored = (path: string): boolean =>
    ignore.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
  const found: string[] = [];
  for (const [path, then] of before) {
    const now = after.get(path);
    if (isIgnored(path) || now === then) continue;
    found.push(now === undefined ? `${showPath(path)}: gone` : `${showPath(path)}: was ${then}, is ${now}`);
  }
  for (const path of after.keys()) if (!before.has(path) && !isIgnored(path)) found.push(`${showPath(path)}: new`);
  return found;
}
