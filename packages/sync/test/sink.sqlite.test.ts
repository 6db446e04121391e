import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqliteSink } from '@batondb/sync/sqlite/sink';
import { describeSink } from './sink-conformance.ts';
import { readReplica } from './sqlite-reader.ts';

describeSink({
  name: 'sqlite',
  comparesRows: true,
  manyRows: 25_000,
  hasOneOwner: true,
  knowsRows: true,
  keepsUnkeyed: true,
  followsRenames: true,
  rounds: 2,
  place: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'baton-sqlite-sink-'));
    const path = join(directory, 'replica.db');
    return {
      sink: () => sqliteSink({ path, source: 'a source' }),
      contents: () => Promise.resolve(readReplica(path)),
      [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
    };
  },
});
