import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ndjsonFileSink } from '@batondb/sync/ndjson/file-sink';
import { readLines } from './ndjson-reader.ts';
import { describeSink } from './sink-conformance.ts';

describeSink({
  name: 'ndjson file',
  comparesRows: false,
  manyRows: 25_000,
  hasOneOwner: true,
  knowsRows: false,
  keepsUnkeyed: true,
  followsRenames: true,
  rounds: 20,
  place: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'baton-ndjson-sink-'));
    const path = join(directory, 'rows.ndjson');
    return {
      sink: () => ndjsonFileSink({ path, source: 'a source' }),
      contents: async () => readLines(await readFile(path, 'utf8')),
      [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
    };
  },
});
