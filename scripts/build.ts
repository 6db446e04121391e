import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build, type PluginBuild } from 'esbuild';

// npm run build: the command with one file for each process and thread it starts, instead of 280 modules, of which Node has to find
// and read each one: an agent starts in half the time. Every module keeps its place, packages/copy/src/… in built/copy/src/…, so that
// what a module names relative to itself (a worker, a page) is there too. The launcher runs the build while no source has changed since.

const help = `Usage: npm run build

Writes packages/cli/built, which ./baton runs until one of the sources changes; from then on it runs the sources.`;

const root = resolve(import.meta.dirname, '..');
const packagesPath = join(root, 'packages');
const builtPath = join(packagesPath, 'cli/built');
/** Packages of many modules that are built in. All others stay what they are: native, or of few modules, or seldom needed. */
const builtIn = ['commander', 'zod'];
/** npm writes it whenever it changes something beside it: it stands for the modules of the packages that are built in. */
const installedPath = join(root, 'node_modules/.package-lock.json');

/** What modules name by a URL relative to themselves: modules that run by themselves, and files that are read. */
const namedModule = /new URL\(`(\.[^`$]*?)\.?\$\{(?:ending|extension)\}`, import\.meta\.url\)/g;
const namedFile = /new URL\('(\.[^']+)', import\.meta\.url\)/g;

/** What a build is made of, by path: all that was read, and of that the modules with which a process or a thread begins. */
type Sources = { readonly read: Set<string>; readonly entries: Set<string> };

/** Builds the command. Throws when something cannot be built, or a source was changed meanwhile. */
export async function buildCommand(): Promise<void> {
  const startMs = Date.now();
  const newPath = `${builtPath}-${process.pid}`;
  const read = new Set([installedPath, import.meta.filename]);
  const entries = new Set([join(packagesPath, 'cli/src/main.ts')]);
  try {
    // The set grows while it is gone through: entries name further ones.
    for (const entry of entries) await buildEntry(entry, newPath, { read, entries });
    writePackages(newPath, read);
    writeInputs(newPath, read, startMs);
    rmSync(builtPath, { recursive: true, force: true });
    renameSync(newPath, builtPath);
  } finally {
    rmSync(newPath, { recursive: true, force: true });
  }
}

async function buildEntry(entry: string, newPath: string, sources: Sources): Promise<void> {
  const outdir = dirname(placeIn(newPath, entry));
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    conditions: ['batondb-source'],
    // What is imported only when it is needed has files of its own, beside that of the entry: hence one place for all of them.
    splitting: true,
    outdir,
    chunkNames: '[name]-[hash]',
    plugins: [{ name: 'places', setup: (setup) => keepPlaces(setup, outdir, newPath, sources) }],
    logLevel: 'warning',
  });
}

/** Has every module of ours keep its place in what it says of itself, and leaves packages outside but for those that are built in. */
function keepPlaces(setup: PluginBuild, outdir: string, newPath: string, sources: Sources): void {
  setup.onResolve({ filter: /^[^./]/ }, ({ path }) => {
    const isInside = path.startsWith('@batondb/') || builtIn.includes(path);
    return isInside ? undefined : { path, external: true };
  });
  setup.onLoad({ filter: /\.ts$/ }, ({ path }) => {
    const code = readFileSync(path, 'utf8');
    takeIn(path, code, newPath, sources);
    const place = JSON.stringify(relative(outdir, placeIn(newPath, path)));
    const contents = code.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`);
    return { contents, loader: 'ts', resolveDir: dirname(path) };
  });
}

/** Notes a module that was read and the entries it names, and copies the files it names to their places. */
function takeIn(path: string, text: string, newPath: string, { read, entries }: Sources): void {
  read.add(path);
  for (const [, name = ''] of text.matchAll(namedModule)) entries.add(`${resolve(dirname(path), name)}.ts`);
  for (const [, name = ''] of text.matchAll(namedFile)) {
    const file = resolve(dirname(path), name);
    read.add(file);
    mkdirSync(dirname(placeIn(newPath, file)), { recursive: true });
    copyFileSync(file, placeIn(newPath, file));
  }
}

/** packages/copy/src/a.ts → packages/cli/built/copy/src/a.js */
function placeIn(newPath: string, path: string): string {
  return join(newPath, relative(packagesPath, path)).replace(/\.ts$/, '.js');
}

/** What Node, and `baton copy` when it carries the build to other hosts, look for in packages: names, dependencies, licences. */
function writePackages(newPath: string, read: Set<string>): void {
  const links = join(newPath, 'node_modules/@batondb');
  mkdirSync(links, { recursive: true });
  for (const name of new Set([...read].flatMap((path) => /\/packages\/([^/]+)\//.exec(path)?.[1] ?? []))) {
    const path = join(packagesPath, name, 'package.json');
    read.add(path);
    const { exports: _, ...manifest } = JSON.parse(readFileSync(path, 'utf8')) as {
      readonly exports: unknown;
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const others = Object.entries(manifest.dependencies).filter(([each]) => !builtIn.includes(each));
    mkdirSync(join(newPath, name), { recursive: true });
    writeJson(join(newPath, name, 'package.json'), { ...manifest, dependencies: Object.fromEntries(others) });
    symlinkSync(`../../${name}`, join(links, name));
    for (const each of builtIn.filter((dependency) => dependency in manifest.dependencies)) {
      copyFileSync(join(root, 'node_modules', each, 'LICENSE'), join(newPath, name, `LICENSE.${each}`));
    }
  }
}

/** The list by which the launcher sees that no source has changed: path, time of its inode's last change, bytes. */
function writeInputs(newPath: string, read: Iterable<string>, startMs: number): void {
  const inputs = [...read].sort().map((path): [string, number, number] => {
    const { ctimeMs, size } = statSync(path);
    if (ctimeMs >= startMs) throw new Error(`${path} was changed while it was built; build again`);
    return [relative(root, path), ctimeMs, size];
  });
  writeJson(join(newPath, 'inputs.json'), inputs);
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value)}\n`);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { help: { type: 'boolean' } } });
  if (values.help) console.log(help);
  else await buildCommand();
}
