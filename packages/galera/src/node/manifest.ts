import { readFileSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';

const format = 1;
/** An installation has some ten files. */
const bytesMax = 1_048_576;

/** What an installation has put on a node, so that it can be taken away again. */
export type Manifest = {
  /** Of the baton that was installed. */
  readonly version: string;
  readonly library: string;
  /** Names of runtimes below the library; the last one is the current one. */
  readonly runtimes: readonly string[];
  readonly files: readonly ManifestFile[];
};

/** `digest` is the SHA-256 of what was written. */
export type ManifestFile =
  | { readonly path: string; readonly digest: string }
  | { readonly path: string; readonly link: string };

export function formatManifest(manifest: Manifest): string {
  return `${JSON.stringify({ format, ...manifest }, undefined, 2)}\n`;
}

/** Reads a manifest; undefined when there is none. Throws VERSION_MISMATCH, LIMIT, NO_PERMISSION, STAGING_DAMAGED. */
export function readManifest(path: string): Manifest | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toBatonError(error, { path });
  }
  if (text.length > bytesMax)
    throw new BatonError('LIMIT', `${path} has ${text.length} bytes, and at most ${bytesMax} are read`);
  return parseManifest(path, text);
}

function parseManifest(path: string, text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (!isRecord(value)) throw damaged(path);
  if (value['format'] !== format) {
    throw new BatonError(
      'VERSION_MISMATCH',
      `${path} is of format ${String(value['format'])}, and this release knows ${format}`,
      { hint: 'use the release that has installed it' },
    );
  }
  const { version, library, runtimes, files } = value;
  const isWhole =
    typeof version === 'string' &&
    typeof library === 'string' &&
    Array.isArray(runtimes) &&
    runtimes.every((name) => typeof name === 'string' && /^[\w.-]+$/.test(name) && !name.startsWith('.')) &&
    Array.isArray(files) &&
    files.every(isFile);
  if (!isWhole) throw damaged(path);
  return { version, library, runtimes, files };
}

function isFile(value: unknown): value is ManifestFile {
  if (!isRecord(value) || typeof value['path'] !== 'string' || !value['path'].startsWith('/')) return false;
  return typeof value['digest'] === 'string' || typeof value['link'] === 'string';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function damaged(path: string): BatonError {
  return new BatonError('STAGING_DAMAGED', `${path} is not a list of what was installed`, {
    hint: 'run baton galera install again, which writes it anew',
  });
}
