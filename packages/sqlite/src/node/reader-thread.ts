import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '@batondb/core/errors';
import { Engine } from '../engine/engine.ts';
import { nodeFileLayer } from '../log/file-layer.ts';
import { type Service, serve } from './call-port.ts';
import { readerContext } from './reader-context.ts';
import { ReaderPool } from './reader-pool.ts';
import type { ReaderCalls } from './request.ts';
import type { ThreadData } from './thread-data.ts';

// A thread that reads. It says `ready`, and answers calls from then on.

function main(): void {
  assert(parentPort !== null, 'N0: this module is a worker');
  const port = parentPort;
  const data = workerData as ThreadData;
  const context = readerContext(data, nodeFileLayer);
  const spill = { layer: nodeFileLayer, directory: context.paths.own, memoryBytes: data.settings.temporaryBytes };
  const pool = new ReaderPool(new Engine(data.module, spill), context, data.settings.cacheKib);
  const service: Service<ReaderCalls> = {
    calls: {
      query: ({ info, ...request }) => pool.query(request, info),
      read: (request) => pool.read(request),
      close: () => {
        pool[Symbol.dispose]();
        context.logFiles[Symbol.dispose]();
        return null;
      },
    },
    settle: () => Promise.resolve(),
  };
  serve(port, service);
  port.postMessage('ready');
}

main();
