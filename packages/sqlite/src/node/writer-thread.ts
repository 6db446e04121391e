import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '@batondb/core/errors';
import { nodeFileLayer } from '../log/file-layer.ts';
import { type Service, serve } from './call-port.ts';
import { packError } from './error-transfer.ts';
import type { WriterCalls } from './request.ts';
import { sessionCalls } from './session-calls.ts';
import type { ThreadData } from './thread-data.ts';
import { WriterHost } from './writer-host.ts';

// The thread that writes. It says `ready` or why it is not, and answers calls from then on.

/** How often old transactions, old snapshots and the log's length are looked at. */
const maintenanceMs = 200;

async function main(): Promise<void> {
  assert(parentPort !== null, 'N0: this module is a worker');
  const port = parentPort;
  let host: WriterHost;
  try {
    host = await WriterHost.open({ ...(workerData as ThreadData), layer: nodeFileLayer }, new AbortController().signal);
  } catch (error) {
    port.postMessage({ error: packError(error) });
    return;
  }
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    // What fails here fails again where somebody waits for it, or is tried again.
    void host
      .maintain()
      .catch(() => undefined)
      .finally(() => {
        isBusy = false;
      });
  }, maintenanceMs);
  const service: Service<WriterCalls> = {
    calls: {
      run: (request) => host.executor.run(request),
      describe: ({ database, sql }) => host.executor.describe(database, sql),
      openDatabase: ({ name, pageBytes }) => host.openDatabase(name, pageBytes),
      dropDatabase: ({ name }) => host.dropDatabase(name),
      openSession: ({ database, isReadOnly }) => host.executor.openSession(database, isReadOnly),
      ...sessionCalls(host.executor),
      wake: () => {
        host.executor.wake();
        return null;
      },
      receipt: ({ key }) => host.executor.receipt(key),
      follow: (message) => host.follow(message),
      beginFollowing: async ({ logId, follows }) => {
        await host.beginFollowing(logId, follows);
        return null;
      },
      backedUp: (position) => {
        host.backedUp(position);
        return null;
      },
      checkpoint: async () => {
        await host.checkpoint();
        return host.status().checkpoint;
      },
      status: () => host.status(),
      beginImport: (request) => host.importer.begin(request),
      importPages: (request) => host.importer.write(request),
      endImport: (request) => host.importer.end(request),
      dropImport: async ({ database }) => {
        await host.importer.drop(database);
        return null;
      },
      pinState: () => host.pinState(),
      close: async () => {
        clearInterval(timer);
        await host.close();
        return null;
      },
    },
    settle: () => host.machine.flush(),
  };
  serve(port, service);
  port.postMessage('ready');
}

await main();
