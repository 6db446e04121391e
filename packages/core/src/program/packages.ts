import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

// Packages as npm has installed them.

export type InstalledPackage = {
  readonly name: string;
  readonly version: string;
  /** Without symlinks. */
  readonly directory: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optional: Readonly<Record<string, string>>;
};

/** Reads the package in a directory. */
export function readPackage(directory: string): InstalledPackage {
  const text = readFileSync(join(directory, 'package.json'), 'utf8');
  const { name, version, dependencies, optionalDependencies } = JSON.parse(text) as {
    readonly name: string;
    readonly version: string;
    readonly dependencies?: Record<string, string>;
    readonly optionalDependencies?: Record<string, string>;
  };
  const optional = optionalDependencies ?? {};
  return { name, version, directory, dependencies: dependencies ?? {}, optional };
}

/** A package that lies in exactly this directory's node_modules; undefined when it does not. */
export function packageIn(directory: string, name: string): InstalledPackage | undefined {
  try {
    return readPackage(realpathSync(join(directory, 'node_modules', name)));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** A package by its name, as Node finds it for a module in `from`; undefined when it is not installed. */
export function findPackage(from: string, name: string): InstalledPackage | undefined {
  for (let directory = from; ; directory = dirname(directory)) {
    const found = packageIn(directory, name);
    if (found !== undefined || directory === dirname(directory)) return found;
  }
}
