import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '@batondb/core/errors';
import { lowerThreadPriority } from '@batondb/core/files/priority';
import { nodeFileLayer } from '../log/file-layer.ts';
import { Moved, serve } from '../node/call-port.ts';
import { readerContext } from '../node/reader-context.ts';
import type { ThreadData } from '../node/thread-data.ts';
import type { SnapshotCalls } from './snapshot-calls.ts';
import { SnapshotReader } from './snapshot-reader.ts';

// The thread of one snapshot: it reads pages and encodes them, so that neither writers nor the server wait for it.

function main(): void {
  assert(parentPort !== null, 'N0: this module is a worker');
  lowerThreadPriority();
  const data = workerData as ThreadData;
  let reader: SnapshotReader | undefined;
  const opened = (): SnapshotReader => {
    assert(reader !== undefined, 'B2: a snapshot is opened before it is read');
    return reader;
  };
  serve<SnapshotCalls>(parentPort, {
    calls: {
      open: (request) => {
        reader = new SnapshotReader(readerContext(data, nodeFileLayer), request);
        return null;
      },
      read: (request) => {
        const message = opened().unit(request);
        return new Moved(message, [message.buffer]);
      },
      write: ({ directory, record }) => opened().writeAll(directory, record),
      digest: ({ name }) => opened().digest(name),
      part: ({ name, offset, bytes }) => {
        const part = opened().part(name, offset, bytes);
        return new Moved(part, [part.buffer]);
      },
    },
    settle: () => Promise.resolve(),
  });
  parentPort.postMessage('ready');
}

main();
