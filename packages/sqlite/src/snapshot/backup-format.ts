import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import * as z from 'zod';
import type { WrittenFile } from './snapshot-calls.ts';

// A backup as it lies in a directory: ordinary SQLite files, the record of the state, and a manifest of them all.
//
//   DIR/baton-20261121T120000000Z-3.42/   when it was made, and at which position
//     NAME.db         a database, as SQLite reads it
//     state           positions, transactions and receipts (machine/state-record.ts)
//     manifest.json   what else is here, with digests
//   DIR/.baton-LOGID-….partial/        one that is being made

const format = 1;
const manifestBytesMax = 16_777_216;
const namePattern = /^baton-\d{8}T\d{9}Z-\d+\.\d+$/;

/** The manifest's name. */
export const manifestName = 'manifest.json';

/** What a backup says of itself. */
export type BackupManifest = {
  readonly format: number;
  /** Milliseconds since 1970. */
  readonly madeMs: number;
  readonly logId: string;
  readonly position: string;
  readonly files: readonly WrittenFile[];
};

const manifestSchema: z.ZodType<BackupManifest> = z.strictObject({
  format: z.literal(format),
  madeMs: z.number(),
  logId: z.string().regex(/^[0-9a-f]{32}$/),
  position: z.string().regex(/^\d{1,15}\.\d{1,15}$/),
  files: z.array(
    z.strictObject({
      // One component: nothing of a backup is read from anywhere else.
      name: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/),
      bytes: z.number(),
      blake3: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

/** A backup in a directory. */
export type FoundBackup = { readonly path: string; readonly manifest: BackupManifest };

/** A manifest with what is the same in all of this format. */
export function makeManifest(manifest: Omit<BackupManifest, 'format'>): Buffer {
  return Buffer.from(`${JSON.stringify({ format, ...manifest }, undefined, 2)}\n`);
}

/** The name of a backup. */
export function backupName({ madeMs, position }: Pick<BackupManifest, 'madeMs' | 'position'>): string {
  const time = new Date(madeMs).toISOString().replaceAll(/[-:.]/g, '');
  return `baton-${time}-${position}`;
}

/** What begins the names of backups that are being made by a node of a log. */
export function partialPrefix(logId: string): string {
  return `.baton-${logId.slice(0, 16)}-`;
}

/** Reads a backup's manifest. Throws NOT_FOUND, VERSION_MISMATCH, UNSUPPORTED for what is no manifest. */
export function readManifest(path: string): BackupManifest {
  const file = join(path, manifestName);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw toBatonError(error, { path: file });
  }
  if (text.length > manifestBytesMax) throw new BatonError('LIMIT', `${file} is longer than any manifest`);
  const json = parse(text, file);
  const found = typeof json === 'object' && json !== null && 'format' in json ? json.format : undefined;
  if (typeof found === 'number' && found !== format) {
    throw new BatonError('VERSION_MISMATCH', `${file} has format ${found}, and this release reads ${format}`, {
      hint: 'use the release that wrote it, or a newer one',
    });
  }
  const manifest = manifestSchema.safeParse(json);
  if (manifest.success) return manifest.data;
  throw new BatonError('UNSUPPORTED', `${file} is not the manifest of a backup`, { cause: manifest.error });
}

/** The backups in a directory, the newest first; what has another name, or no manifest, is none. None where there is no directory. */
export function findBackups(directory: string): FoundBackup[] {
  const found: FoundBackup[] = [];
  for (const name of namesIn(directory)) {
    if (!namePattern.test(name)) continue;
    const path = join(directory, name);
    try {
      found.push({ path, manifest: readManifest(path) });
    } catch (error) {
      if (!(error instanceof BatonError)) throw error;
    }
  }
  return found.sort((one, other) => other.manifest.madeMs - one.manifest.madeMs);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw toBatonError(error, { path: directory });
  }
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BatonError('UNSUPPORTED', `${file} is not the manifest of a backup`, { cause });
  }
}
