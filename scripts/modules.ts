import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'oxc-parser';

// Reads the workspace for the boundary check: its packages, and which module imports what. Decides nothing.

/** One import as it is written. `typeOnly`: it leaves no trace at run time. */
export type Import = { readonly specifier: string; readonly typeOnly: boolean };

/** A module: its path from the workspace's root with `/`, what it imports, and its text. */
export type Module = { readonly path: string; readonly imports: readonly Import[]; readonly text: string };

/** What the check needs of a package.json. */
export type Package = {
  readonly name: string;
  /** `packages/core`; the workspace's own package has `.`. */
  readonly directory: string;
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
};

export type Workspace = {
  readonly root: Package;
  readonly packages: readonly Package[];
  readonly modules: readonly Module[];
  /** How many files there are that should have become a module. */
  readonly filesFound: number;
  /** Files that could not be read as a module, with the reason. */
  readonly unreadable: readonly string[];
};

const modulePatterns = [
  'packages/*/*.{ts,mts,cts,js,mjs,cjs}',
  'packages/*/{src,test}/**/*.{ts,mts,cts,js,mjs,cjs}',
  '{scripts,test,bench}/**/*.{ts,mts,cts,js,mjs,cjs}',
  'docs/examples/**/*.{ts,mts,cts,js,mjs,cjs}',
];

/** Reads all packages and modules below `directory`, the workspace's root. */
export function readWorkspace(directory: string): Workspace {
  const files = globSync(modulePatterns, { cwd: directory }).sort();
  const modules: Module[] = [];
  const unreadable: string[] = [];
  for (const path of files) {
    const text = readFileSync(join(directory, path), 'utf8');
    const parsed = readModule(path, text);
    if (typeof parsed === 'string') unreadable.push(`${path}: ${parsed}`);
    else modules.push(parsed);
  }
  const packageFiles = globSync('packages/*/package.json', { cwd: directory }).sort();
  return {
    root: readPackage(directory, 'package.json'),
    packages: packageFiles.map((file) => readPackage(directory, file)),
    modules,
    filesFound: files.length,
    unreadable,
  };
}

/** A module's imports, or what is wrong with it. An import whose target is computed is wrong: nobody could check it. */
export function readModule(path: string, text: string): Module | string {
  const { module, errors } = parseSync(path, text);
  const error = errors[0];
  if (error !== undefined) return error.message;
  const imports: Import[] = [];
  for (const { moduleRequest, entries } of module.staticImports) {
    const typeOnly = entries.length > 0 && entries.every((entry) => entry.isType);
    imports.push({ specifier: moduleRequest.value, typeOnly });
  }
  for (const { moduleRequest, isType } of module.staticExports.flatMap((statement) => statement.entries)) {
    if (moduleRequest) imports.push({ specifier: moduleRequest.value, typeOnly: isType });
  }
  for (const { moduleRequest } of module.dynamicImports) {
    const specifier = literal(text.slice(moduleRequest.start, moduleRequest.end));
    if (specifier === undefined && isShipped(path)) return `the target of import() is computed; write it out`;
    if (specifier !== undefined) imports.push({ specifier, typeOnly: false });
  }
  if (path.endsWith('.cjs')) {
    for (const [, specifier] of text.matchAll(/\brequire\('([^']+)'\)/g)) {
      if (specifier !== undefined) imports.push({ specifier, typeOnly: false });
    }
  }
  return { path, imports, text };
}

/** True for what users run: everything in a package but its tests. */
export function isShipped(path: string): boolean {
  return /^packages\/[^/]+\/(?!test\/)/.test(path);
}

function literal(source: string): string | undefined {
  return /^(['"`])([^'"`$\\]+)\1$/.exec(source.trim())?.[2];
}

function readPackage(directory: string, file: string): Package {
  const manifest = JSON.parse(readFileSync(join(directory, file), 'utf8')) as {
    readonly name: string;
    readonly dependencies?: Record<string, string>;
    readonly optionalDependencies?: Record<string, string>;
    readonly peerDependencies?: Record<string, string>;
    readonly devDependencies?: Record<string, string>;
  };
  const shipped = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies };
  return {
    name: manifest.name,
    directory: file === 'package.json' ? '.' : file.slice(0, -'/package.json'.length),
    dependencies: Object.keys(shipped),
    devDependencies: Object.keys(manifest.devDependencies ?? {}),
  };
}
