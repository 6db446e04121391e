// What is in a tree, as the system's own tools see it (find, stat, getfattr, sha256sum): nothing of Baton's code takes part,
// or a mistake of both would not be seen. Paths are kept as latin1 strings, one character per byte.
import { mustRun } from './processes.ts';
import { requireTools } from './requirements.ts';

/** One thing in a tree. Numbers and times stay the text that find printed. */
export type ListedEntry = {
  /** Below the tree's root; empty for the root itself. */
  readonly path: string;
  /** find's letter: f, d, l, p, s, b or c. */
  readonly type: string;
  readonly mode: string;
  readonly uid: string;
  readonly gid: string;
  readonly sizeBytes: number;
  /** Seconds, with ten decimals. */
  readonly modifyTime: string;
  readonly accessTime: string;
  readonly changeTime: string;
  /** Device and inode: the same for all names of one file. */
  readonly identity: string;
  readonly blocks: number;
  readonly target: string;
  /** Lines `name=0x…` of getfattr; access lists and capabilities are among them. */
  xattrs: readonly string[];
  /** Major and minor number of a device, in hexadecimal. */
  device: string;
};

/** Things by path. */
export type Listing = ReadonlyMap<string, ListedEntry>;

/** Fixed, so that tools print in one language; `find -execdir` refuses a PATH with relative directories. */
const env = { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } as const;
/** Absolute paths up to this many bytes are given to tools as they are; longer ones only find can reach. */
const pathBytesMax = 4000;

const absolute = (root: string, path: string): string => (path === '' ? toBytes(root) : `${toBytes(root)}/${path}`);
const toBytes = (text: string): string => Buffer.from(text).toString('latin1');
const tokens = (bytes: Buffer): string[] => bytes.toString('latin1').split('\0').slice(0, -1);

/** All of a tree but content. Takes about a second for 20,000 files. */
export async function listTree(root: string): Promise<Listing> {
  requireTools('listing a tree', ['getfattr']);
  const fields = ['%P', '%y', '%m', '%U', '%G', '%s', '%T@', '%A@', '%C@', '%D:%i', '%b', '%l'];
  const { stdoutBytes } = await mustRun(['find', root, '-printf', fields.map((field) => `${field}\\0`).join('')], {
    env,
  });
  const all = tokens(stdoutBytes);
  const listing = new Map<string, ListedEntry>();
  for (let index = 0; index + fields.length <= all.length; index += fields.length) {
    const [
      path = '',
      type = '',
      mode = '',
      uid = '',
      gid = '',
      size = '',
      modifyTime = '',
      accessTime = '',
      changeTime = '',
      identity = '',
      blocks = '',
      target = '',
    ] = all.slice(index, index + fields.length);
    listing.set(path, {
      path,
      type,
      mode,
      uid,
      gid,
      sizeBytes: Number(size),
      modifyTime,
      accessTime,
      changeTime,
      identity,
      blocks: Number(blocks),
      target,
      xattrs: [],
      device: '',
    });
  }
  const entries = [...listing.values()];
  const devices = entries.filter(({ type }) => type === 'b' || type === 'c');
  if (devices.length > 0) {
    const numbers = await perEntry(root, ['(', '-type', 'b', '-o', '-type', 'c', ')'], ['stat', '-c', '%t:%T']);
    for (const entry of devices) entry.device = (numbers.get(entry.path) ?? '').trim();
  }
  for (const [path, lines] of await readXattrs(root, entries)) {
    const entry = listing.get(path);
    if (entry !== undefined) entry.xattrs = lines;
  }
  return listing;
}

/** Runs a tool once per thing that matches, from within its directory, so that a path of any length works. */
async function perEntry(root: string, tests: readonly string[], tool: readonly string[]): Promise<Map<string, string>> {
  const argv = ['find', root, ...tests, '-printf', '%P\\0', '-execdir', ...tool, '{}', ';', '-printf', '\\0'];
  const all = tokens((await mustRun(argv, { env, timeoutMs: 120_000 })).stdoutBytes);
  const outputs = new Map<string, string>();
  for (let index = 0; index + 1 < all.length; index += 2) outputs.set(all[index] ?? '', all[index + 1] ?? '');
  return outputs;
}

/** Runs a tool with as many paths at a time as fit. The input is one string of latin1 paths ended by NUL. */
async function batched(root: string, paths: readonly string[], tool: readonly string[]): Promise<Buffer> {
  if (paths.length === 0) return Buffer.alloc(0);
  const input = Buffer.from(paths.map((path) => `${absolute(root, path)}\0`).join(''), 'latin1');
  return (await mustRun(['xargs', '-0', '-r', '-s', '1000000', '--', ...tool], { env, input, timeoutMs: 300_000 }))
    .stdoutBytes;
}

/** Paths that tools can open in one piece, and the depth from which find must help with the rest. */
function splitByLength(
  root: string,
  entries: readonly ListedEntry[],
): { readonly short: string[]; readonly longDepth: number | undefined } {
  const short: string[] = [];
  let longDepth: number | undefined;
  for (const { path } of entries) {
    if (absolute(root, path).length <= pathBytesMax) short.push(path);
    else longDepth = Math.min(longDepth ?? Number.POSITIVE_INFINITY, path.split('/').length);
  }
  return { short, longDepth };
}

/** getfattr writes a newline and a backslash in a name as three octal digits. */
const unquote = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

async function readXattrs(root: string, entries: readonly ListedEntry[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  const { short, longDepth } = splitByLength(root, entries);
  const tool = ['getfattr', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', '--'];
  const prefix = `${toBytes(root)}/`;
  const output = (await batched(root, short, tool)).toString('latin1');
  for (const block of output.split('\n\n')) {
    const [heading = '', ...lines] = block.split('\n');
    if (!heading.startsWith('# file: ')) continue;
    const path = unquote(heading.slice('# file: '.length));
    found.set(path.startsWith(prefix) ? path.slice(prefix.length) : '', lines.filter((line) => line !== '').sort());
  }
  if (longDepth !== undefined) {
    for (const [path, block] of await perEntry(root, ['-mindepth', String(longDepth)], tool)) {
      const lines = block.split('\n').slice(1);
      if (lines.length > 0) found.set(path, lines.filter((line) => line !== '').sort());
    }
  }
  return found;
}

/** SHA-256 of files by path, hexadecimal. All of `entries` must be files of the tree. */
export async function hashFiles(root: string, entries: readonly ListedEntry[]): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  const { short, longDepth } = splitByLength(root, entries);
  const lines = tokens(await batched(root, short, ['sha256sum', '-z', '--']));
  const prefixLength = toBytes(root).length + 1;
  for (const line of lines) digests.set(line.slice(66 + prefixLength), line.slice(0, 64));
  if (longDepth !== undefined) {
    const long = await perEntry(root, ['-mindepth', String(longDepth), '-type', 'f'], ['sha256sum', '--']);
    for (const [path, output] of long) digests.set(path, output.replace(/^\\/, '').slice(0, 64));
  }
  const missing = entries.find(({ path }) => !digests.has(path));
  if (missing !== undefined) throw new Error(`sha256sum gave no digest for ${showPath(missing.path)} in ${root}`);
  return digests;
}

/** The first byte in which two files of the same size differ, counted from 0; undefined: they are the same. */
export async function firstDifference(a: string, b: string): Promise<number | undefined> {
  // A shell turns what Node cannot pass (bytes that are no text) from standard input into arguments.
  const input = Buffer.from(`${a}\0${b}\0`, 'latin1');
  const { stdout } = await mustRun(['xargs', '-0', 'sh', '-c', 'cmp -- "$1" "$2"; [ $? -le 1 ]', 'sh'], {
    env,
    input,
    timeoutMs: 600_000,
  });
  if (stdout === '') return undefined;
  const offset = /(?:byte|char) (\d+), line \d+\s*$/.exec(stdout)?.[1];
  if (offset === undefined) throw new Error(`cmp said: ${stdout}`);
  return Number(offset) - 1;
}

/** Absolute path of a listed thing as latin1, for firstDifference(). */
export function absoluteBytes(root: string, path: string): string {
  return absolute(root, path);
}

/** A path for people: bytes that are no printable ASCII as \xNN, `.` for the root. */
export function showPath(path: string): string {
  if (path === '') return '.';
  const text = path.replace(/[^\x20-\x7e]|\\/g, (byte) =>
    byte === '\\' ? '\\\\' : `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return text.length <= 300 ? text : `${text.slice(0, 120)}…(${path.length} bytes)…${text.slice(-120)}`;
}
