import { isBuiltin } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Import, isShipped, type Module, type Package, readWorkspace, type Workspace } from './modules.ts';

// The boundary check: which way things go (cli → door → part → core), what may do I/O, and who may name a database.
// Every rule returns sentences; none means the workspace keeps to them.

type Room = 'core' | 'part' | 'door' | 'cli' | 'testbed';

/** Every package has a room. A new package is entered here, or the check fails. */
const rooms: ReadonlyMap<string, Room> = new Map([
  ['core', 'core'],
  ['mariadb', 'part'],
  ['etcd', 'part'],
  ['service', 'part'],
  ['copy', 'door'],
  ['galera', 'door'],
  ['sqlite', 'door'],
  ['sync', 'door'],
  ['cli', 'cli'],
  ['testbed', 'testbed'],
]);

/** What a room may import, besides itself. The testbed may import what it declares: nobody who ships imports it. */
const allowedRooms: Readonly<Record<Room, readonly Room[]>> = {
  core: [],
  part: ['core'],
  door: ['core', 'part'],
  cli: ['core', 'part', 'door'],
  testbed: ['core', 'part', 'door'],
};

const ioBuiltins = new Set(
  [
    'fs',
    'fs/promises',
    'net',
    'tls',
    'child_process',
    'worker_threads',
    'dgram',
    'http',
    'https',
    'http2',
    'cluster',
  ].map((name) => `node:${name}`),
);
/** Packages that reach the system past Node. */
const ioPackages: ReadonlySet<string> = new Set(['koffi']);
const ioRooms = /^packages\/core\/src\/(files|transport|process|program)\//;
const databaseName = /mariadb|mysql|postgres|sqlite|galera|etcd/i;

/** All that is wrong with a workspace's boundaries, as sentences that begin with a path. */
export function checkBoundaries(workspace: Workspace): string[] {
  return [
    ...checkSeen(workspace),
    ...workspace.modules.flatMap((module) => [
      ...module.imports.flatMap((imported) => checkImport(workspace, module, imported)),
      ...checkNames(module),
    ]),
    ...workspace.modules
      .filter((module) => isProtocol(module.path))
      .flatMap((module) => checkPurity(workspace, module)),
  ];
}

/** A check that saw nothing must not pass: an empty glob or a parser that gives up looks like perfect order. */
function checkSeen(workspace: Workspace): string[] {
  const { modules, filesFound, packages, unreadable } = workspace;
  const problems = [...unreadable];
  if (packages.length === 0) problems.push('packages: no package was seen');
  if (modules.length === 0) problems.push('packages: no module was seen');
  if (modules.length < filesFound)
    problems.push(`packages: ${modules.length} of ${filesFound} files were seen as modules`);
  for (const { directory } of packages) {
    if (!rooms.has(shortName(directory)))
      problems.push(`${directory}: the package is in no room; enter it in scripts/boundaries.ts`);
    if (!modules.some(({ path }) => path.startsWith(`${directory}/src/`)))
      problems.push(`${directory}: no module was seen in src/`);
  }
  return problems;
}

function checkImport(workspace: Workspace, module: Module, imported: Import): string[] {
  const { specifier } = imported;
  const problem = (text: string): string[] => [`${module.path}: imports ${specifier}: ${text}`];
  const owner = ownerOf(workspace, module.path);
  if (specifier.startsWith('.')) {
    const target = relativeTarget(module.path, specifier);
    const crosses = ownerOf(workspace, target) !== owner;
    return crosses ? problem('a relative path crosses the wall of a package; import it by its name') : [];
  }
  if (isBuiltin(specifier)) return specifier.startsWith('node:') ? [] : problem('write node: before a module of Node');
  const name = packageName(specifier);
  const shipped = isShipped(module.path);
  if (name === owner.name) return shipped ? problem('inside a package paths are relative') : [];
  const target = workspace.packages.find((candidate) => candidate.name === name);
  const misdirected = target && owner !== workspace.root ? checkDirection(owner, target, shipped) : undefined;
  if (misdirected !== undefined) return problem(misdirected);
  // Types alone come from a package that may stand for one that is installed elsewhere.
  const isThere =
    mayUse(workspace, owner, name, shipped) ||
    (imported.typeOnly && mayUse(workspace, owner, `@types/${name}`, shipped));
  return isThere ? [] : problem(`${owner.directory}/package.json does not declare ${name}`);
}

/** Tests may also use what the workspace's root declares for all of them. */
function mayUse(workspace: Workspace, owner: Package, name: string, shipped: boolean): boolean {
  if (owner.dependencies.includes(name)) return true;
  return !shipped && (owner.devDependencies.includes(name) || workspace.root.devDependencies.includes(name));
}

/** What is wrong with the way from one package to another one. */
function checkDirection(owner: Package, target: Package, shipped: boolean): string | undefined {
  const from = rooms.get(shortName(owner.directory));
  const to = rooms.get(shortName(target.directory));
  if (from === undefined || to === undefined) return undefined;
  if (to === 'testbed') return shipped ? 'only tests, bench and scripts import the testbed' : undefined;
  const allowed = allowedRooms[from];
  if (allowed.includes(to)) return undefined;
  return `${from} may import ${allowed.join(' and ') || 'no package of the workspace'}, and this is ${to}`;
}

/** What a protocol module reaches at run time must do no I/O, also by way of others; what it names itself, not even as a type. */
function checkPurity(workspace: Workspace, start: Module): string[] {
  const byPath = new Map(workspace.modules.map((module) => [module.path, module]));
  const problems: string[] = [];
  const seen = new Set([start.path]);
  const queue = [{ module: start, way: start.path }];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const { specifier, typeOnly } of next.module.imports) {
      if (typeOnly && next.module !== start) continue;
      const target = resolveInside(workspace, next.module.path, specifier);
      if (
        ioBuiltins.has(specifier) ||
        ioPackages.has(packageName(specifier)) ||
        (target !== undefined && ioRooms.test(target))
      ) {
        problems.push(`${next.way}: imports ${specifier}: protocol/ is bytes in, messages out, and does no I/O`);
      } else if (target !== undefined && !typeOnly && !seen.has(target)) {
        seen.add(target);
        const module = byPath.get(target);
        if (module !== undefined) queue.push({ module, way: `${next.way} → ${target}` });
      }
    }
  }
  return problems;
}

function checkNames(module: Module): string[] {
  if (!module.path.startsWith('packages/core/src/')) return [];
  return module.text.split('\n').flatMap((line, index) => {
    const found = databaseName.exec(line)?.[0];
    return found === undefined ? [] : [`${module.path}:${index + 1}: core names no database, and this says ${found}`];
  });
}

/** Hrana is what clients of databases speak; its room has its name. */
function isProtocol(path: string): boolean {
  return /^packages\/[^/]+\/src\/(.*\/)?(protocol|hrana)\//.test(path);
}

/** The module's path a specifier stands for when it lies in the workspace. */
function resolveInside(workspace: Workspace, from: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return relativeTarget(from, specifier);
  const name = packageName(specifier);
  const target = workspace.packages.find((candidate) => candidate.name === name);
  return target && `${target.directory}/src/${specifier.slice(name.length + 1) || 'index'}.ts`;
}

function ownerOf(workspace: Workspace, path: string): Package {
  return workspace.packages.find(({ directory }) => path.startsWith(`${directory}/`)) ?? workspace.root;
}

function relativeTarget(from: string, specifier: string): string {
  return join(dirname(from), specifier);
}

function packageName(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function shortName(directory: string): string {
  return directory.slice(directory.lastIndexOf('/') + 1);
}

const help = `Usage: node scripts/boundaries.ts [--root DIRECTORY]

Checks which package imports which, that protocol/ does no I/O, and that core names no database.
Prints what is wrong and exits 1, or prints how many modules it saw.`;

function main(): void {
  const { values } = parseArgs({ options: { help: { type: 'boolean' }, root: { type: 'string' } } });
  if (values.help) return console.log(help);
  const workspace = readWorkspace(values.root ?? resolve(import.meta.dirname, '..'));
  const problems = checkBoundaries(workspace);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`${workspace.modules.length} modules in ${workspace.packages.length} packages`);
}

if (import.meta.main) main();
