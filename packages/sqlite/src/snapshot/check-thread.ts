import { tmpdir } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { assert } from '@batondb/core/errors';
import { lowerThreadPriority } from '@batondb/core/files/priority';
import { Engine } from '../engine/engine.ts';
import { sqliteModule } from '../engine/wasm.ts';
import { nodeFileLayer } from '../log/file-layer.ts';
import { Moved, serve } from '../node/call-port.ts';
import { checkSnapshot } from './check.ts';
import type { CheckCalls } from './check-calls.ts';
import { copyFiles, digestFiles } from './copy-files.ts';
import { InspectedFile } from './inspected-file.ts';

// A thread that looks at files, which may take minutes: nobody waits for it but who asked.

const temporaryBytes = 16_777_216;

function main(): void {
  assert(parentPort !== null, 'N0: this module is a worker');
  lowerThreadPriority();
  const layer = nodeFileLayer;
  let engine: Engine | undefined;
  const ownEngine = (): Engine =>
    (engine ??= new Engine(sqliteModule(), { layer, directory: tmpdir(), memoryBytes: temporaryBytes }));
  let inspected: InspectedFile | undefined;
  serve<CheckCalls>(parentPort, {
    calls: {
      check: ({ directory, withEngine }) => checkSnapshot(layer, directory, withEngine ? ownEngine() : undefined),
      copy: ({ from, to, names }) => copyFiles(layer, from, to, names),
      digest: ({ directory, names }) => digestFiles(layer, directory, names),
      inspect: ({ path, called }) => {
        inspected?.[Symbol.dispose]();
        inspected = new InspectedFile(layer, path, called);
        return inspected.inspect(ownEngine());
      },
      pages: ({ first, count }) => {
        assert(inspected !== undefined, 'B7: a file is inspected before its pages are taken');
        const pages = inspected.pages(first, count);
        return new Moved(pages, [pages.buffer]);
      },
    },
    settle: () => Promise.resolve(),
  });
  parentPort.postMessage('ready');
}

main();
