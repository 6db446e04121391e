// Proves: the archive that is carried is one that the system's tar reads, the same for the same content, and one in the cache that
// was damaged is packed anew.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { childError, spawnChild } from '@batondb/core/process/child';
import { type Bundle, openBundle, piecesFor } from '../src/bundle/bundle.ts';
import type { Pieces } from '../src/bundle/pieces.ts';
import { tarHeader } from '../src/bundle/tar.ts';

let directory: string;
const cacheBefore = process.env['XDG_CACHE_HOME'];

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'baton-bundle-'));
  chmodSync(directory, 0o700);
  process.env['XDG_CACHE_HOME'] = join(directory, 'cache');
  mkdirSync(join(directory, 'cache'), { mode: 0o700 });
});
after(() => {
  rmSync(directory, { recursive: true });
  if (cacheBefore === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = cacheBefore;
});

/** Three small pieces, so that what is tested is the packing. `name` stands for their content. */
function makePieces(name: string): Pieces {
  const from = join(directory, 'odd-size');
  writeFileSync(from, Buffer.alloc(1_000_001, 7));
  const long = `node_modules/${'deep/'.repeat(20)}file.js`;
  return {
    processor: 'x64',
    name,
    contentBytes: 1_000_001,
    pieces: [
      { path: 'bin/baton', content: '#!/bin/sh\necho ran "$1"\n', executable: true },
      { path: long, from, bytes: 1_000_001, executable: false },
      { path: 'node_modules/link', link: '../bin' },
    ],
  };
}

async function digestOf(bundle: Bundle): Promise<string> {
  return createHash('sha256')
    .update(await bundle.file.readFile())
    .digest('hex');
}

async function run(...argv: string[]): Promise<string> {
  await using child = await spawnChild(argv);
  child.stdin.end();
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) chunks.push(chunk);
  const exit = await child.exited;
  if (exit.code !== 0) throw childError(argv, exit);
  return Buffer.concat(chunks).toString();
}

test('tar unpacks what was packed', async () => {
  const pieces = makePieces('0.0.1-one-x64');
  await using bundle = await openBundle(pieces);
  assert.equal(await digestOf(bundle), bundle.digest);
  const [archive = ''] = readdirSync(join(directory, 'cache/baton/bundles'));
  assert.equal(archive, `0.0.1-one-x64-${bundle.digest}.tar.gz`);
  const place = join(directory, 'unpacked');
  mkdirSync(place);
  await run('tar', '-xzof', join(directory, 'cache/baton/bundles', archive), '-C', place);
  assert.equal(await run(join(place, 'node_modules/link/baton'), 'agent'), 'ran agent\n');
  assert.deepEqual(readFileSync(join(place, pieces.pieces[1]?.path ?? '')), Buffer.alloc(1_000_001, 7));
  assert.equal(statSync(join(place, 'bin/baton')).mode & 0o777, 0o700);
  const list = readFileSync(join(place, 'files'), 'utf8').trim().split('\n');
  assert.deepEqual(list, [pieces.pieces[0]?.path, pieces.pieces[1]?.path]);
});

test('the same content is the same archive, and one bundle a processor is kept', async () => {
  await using first = await openBundle(makePieces('0.0.1-first-x64'));
  await using second = await openBundle(makePieces('0.0.1-second-x64'));
  assert.equal(first.digest, second.digest);
  assert.equal(readdirSync(join(directory, 'cache/baton/bundles')).length, 1);
});

test('a damaged bundle in the cache is not used', async () => {
  const bundles = join(directory, 'cache/baton/bundles');
  rmSync(bundles, { recursive: true });
  mkdirSync(bundles, { mode: 0o700 });
  const name = `0.0.1-hurt-x64-${'0'.repeat(64)}.tar.gz`;
  writeFileSync(join(bundles, name), 'no archive');
  await using bundle = await openBundle(makePieces('0.0.1-hurt-x64'));
  assert.equal(await digestOf(bundle), bundle.digest);
  assert.deepEqual(readdirSync(bundles), [`0.0.1-hurt-x64-${bundle.digest}.tar.gz`]);
});

test('without a private cache nothing is kept', async () => {
  chmodSync(join(directory, 'cache'), 0o777);
  const names = readdirSync(tmpdir());
  await using bundle = await openBundle(makePieces('0.0.1-unkept-x64'));
  chmodSync(join(directory, 'cache'), 0o700);
  assert.equal(await digestOf(bundle), bundle.digest);
  const more = readdirSync(tmpdir()).filter((name) => /^baton-[0-9a-f]{24}$/.test(name) && !names.includes(name));
  assert.deepEqual(more, []);
});

test('a path that tar cannot hold is refused', () => {
  const entry = { kind: 'file', path: 'a'.repeat(101), bytes: 0, executable: false } as const;
  assert.throws(() => tarHeader(entry), /too long for a tar archive/);
});

test('the pieces of this machine are whole, and what is missing comes with its command', () => {
  const pieces = piecesFor(process.arch === 'arm64' ? 'arm64' : 'x64');
  assert.ok(!(pieces instanceof BatonError));
  const paths = pieces.pieces.map(({ path }) => path);
  for (const pattern of [
    /^bin\/node$/,
    /^LICENSE\.node$/,
    /\/agent\/run\.[tj]s$/,
    /\/unit-worker\.[tj]s$/,
    /koffi\.node$/,
  ]) {
    assert.ok(
      paths.some((path) => pattern.test(path)),
      String(pattern),
    );
  }
  assert.ok(
    paths.every((path) => /^[\w@./-]+$/.test(path)),
    'no name that a shell would take apart',
  );
  const other = piecesFor(process.arch === 'arm64' ? 'x64' : 'arm64');
  if (other instanceof BatonError) {
    assert.equal(other.code, 'UNSUPPORTED');
    assert.match(other.hint ?? '', /npm install --prefix \S+ --force .*node-linux-\w+@24\.\d+\.\d+/);
  } else assert.ok(other.pieces.length > 100);
});
