import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { dirname, join, resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { ServerAccess } from '@batondb/service/client';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { nodeFileLayer } from '../log/file-layer.ts';
import { ask, readJson } from './http.ts';
import { formatLocation, type Location } from './location.ts';

// A server's databases as files, and their coming and going, over plain HTTP.

/** Told of bytes that have gone over, out of all. */
export type TransferProgress = (doneBytes: number, totalBytes: number) => void;

/** A database as a server lists it. */
export type ListedDatabase = { readonly name: string; readonly bytes: number };

/** A file that was fetched. */
export type FetchedFile = { readonly bytes: number; readonly position: string };

/** The databases of a server. Throws what `ask` throws. */
export async function listDatabases(
  location: Location,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<readonly ListedDatabase[]> {
  const { databases } = await readJson(await ask(location, { method: 'GET', path: '/db' }, access, signal), location);
  if (Array.isArray(databases)) return databases as ListedDatabase[];
  throw new BatonError('PROTOCOL', `${formatLocation(location)} lists no databases where a list was due`);
}

/** Makes the database that a location names. False: it was there. Throws USAGE for what is no name. */
export async function createDatabase(location: Location, access: ServerAccess, signal: AbortSignal): Promise<boolean> {
  const response = await ask(location, { method: 'PUT', path: pathOf(location) }, access, signal);
  response.resume();
  return response.statusCode === 201;
}

/** Drops the database that a location names; the server keeps its file. Throws NOT_FOUND. Returns the position from which on it is gone. */
export async function dropDatabase(location: Location, access: ServerAccess, signal: AbortSignal): Promise<string> {
  const headers = { 'baton-confirm': location.database };
  const response = await ask(location, { method: 'DELETE', path: pathOf(location), headers }, access, signal);
  return positionOf(await readJson(response, location), location);
}

/** Has the server make a backup where it was told to. Returns where it lies there, and of which position it is. */
export async function requestBackup(
  location: Location,
  access: ServerAccess,
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly position: string }> {
  const answer = await readJson(await ask(location, { method: 'POST', path: '/backup' }, access, signal), location);
  return { path: String(answer['path']), position: positionOf(answer, location) };
}

/**
 * Fetches a database as an ordinary SQLite file: written beside its name, compared with its digest, synced, and only then given its name. Throws
 * EXISTS when something has the name; CONNECTION_LOST, DIGEST_MISMATCH, NO_SPACE.
 */
export async function fetchFile(
  location: Location,
  path: string,
  access: ServerAccess,
  options: { readonly onProgress?: TransferProgress; readonly signal: AbortSignal },
): Promise<FetchedFile> {
  const target = resolve(path);
  if ((await stat(target).catch(() => undefined)) !== undefined) {
    throw new BatonError('EXISTS', `${target} exists, and nothing existing is overwritten`, {
      hint: 'choose another name',
    });
  }
  const partial = join(dirname(target), `.baton-${randomUUID()}.partial`);
  const response = await ask(location, { method: 'GET', path: `${pathOf(location)}/file` }, access, options.signal);
  try {
    await mkdir(dirname(target), { recursive: true });
    const fetched = await receive(response, partial, location, options.onProgress);
    await rename(partial, target);
    nodeFileLayer.syncDirectory(dirname(target));
    return fetched;
  } catch (error) {
    await rm(partial, { force: true });
    options.signal.throwIfAborted();
    throw toBatonError(error, { path: target });
  }
}

/**
 * Sends a SQLite file, which becomes the database that the location names. `replaces`: whoever has the name is dropped, and the server keeps its
 * file. Throws NOT_FOUND, EXISTS, UNSUPPORTED, DIGEST_MISMATCH, LIMIT, NO_SPACE. Returns the position from which on everybody sees it.
 */
export async function sendFile(
  location: Location,
  path: string,
  access: ServerAccess,
  options: { readonly replaces: boolean; readonly onProgress?: TransferProgress; readonly signal: AbortSignal },
): Promise<string> {
  const { bytes, blake3 } = await digestOf(path);
  const onProgress = options.onProgress ?? (() => undefined);
  async function* content(): AsyncGenerator<Uint8Array> {
    let done = 0;
    for await (const chunk of createReadStream(path, { end: Math.max(bytes - 1, 0) }) as AsyncIterable<Buffer>) {
      done += chunk.length;
      onProgress(done, bytes);
      yield chunk;
    }
  }
  const headers = {
    'content-type': 'application/vnd.sqlite3',
    'content-length': String(bytes),
    'baton-blake3': blake3,
  };
  const target = `${pathOf(location)}/file${options.replaces ? '?replace=yes' : ''}`;
  const request = { method: 'PUT', path: target, headers, body: content() } as const;
  return positionOf(await readJson(await ask(location, request, access, options.signal), location), location);
}

async function receive(
  response: IncomingMessage,
  path: string,
  location: Location,
  onProgress: TransferProgress = () => undefined,
): Promise<FetchedFile> {
  const totalBytes = Number(response.headers['content-length'] ?? 0);
  const hasher = new Blake3Hasher();
  let done = 0;
  await using file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      hasher.update(chunk);
      await file.write(chunk);
      done += chunk.length;
      onProgress(done, totalBytes);
    }
  } catch (cause) {
    if (response.complete) throw cause;
    const what = `the connection to ${formatLocation(location)} broke after ${done} of ${totalBytes} bytes`;
    throw new BatonError('CONNECTION_LOST', what, { cause, retryable: true });
  }
  const found = hasher.digestBuffer().toString('hex');
  const wanted = response.headers['baton-blake3'];
  if (found !== wanted) {
    const what = `what ${formatLocation(location)} sent has the digest ${found.slice(0, 16)}…, and it says ${String(wanted).slice(0, 16)}…`;
    throw new BatonError('DIGEST_MISMATCH', what, { retryable: true });
  }
  await file.sync();
  return { bytes: done, position: String(response.headers['baton-position']) };
}

async function digestOf(path: string): Promise<{ readonly bytes: number; readonly blake3: string }> {
  const hasher = new Blake3Hasher();
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hasher.update(chunk);
      bytes += chunk.length;
    }
  } catch (error) {
    throw toBatonError(error, { path });
  }
  return { bytes, blake3: hasher.digestBuffer().toString('hex') };
}

function pathOf({ database }: Location): string {
  return `/db/${encodeURIComponent(database)}`;
}

function positionOf({ position }: Readonly<Record<string, unknown>>, location: Location): string {
  if (typeof position === 'string') return position;
  throw new BatonError('PROTOCOL', `${formatLocation(location)} tells no position where one was due`);
}
