import { parentPort, workerData } from 'node:worker_threads';
import { assert, toErrorRecord } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { Replica } from './replica.ts';
import type { ReplicaPlace, Reply } from './replica-thread.ts';
import type { Request } from './requests.ts';

// The shell of the thread that writes a replica.

const port = parentPort;
assert(port !== null, 'this module runs in a worker thread');
const tell = (reply: Reply): void => port.postMessage(reply);
const { path, source } = workerData as ReplicaPlace;

let replica: Replica | undefined;
try {
  replica = new Replica(path, source);
  tell({ type: 'opened', state: replica.state });
} catch (error) {
  tell({ type: 'failed', number: undefined, error: toErrorRecord(toBatonError(error)) });
}

port.on('message', (request: Request) => {
  try {
    assert(replica !== undefined, 'the replica is open');
    tell({ type: 'done', number: request.number, result: answer(replica, request) });
    if (request.call === 'close') port.close();
  } catch (error) {
    tell({ type: 'failed', number: request.number, error: toErrorRecord(toBatonError(error)) });
  }
});

function answer(on: Replica, { call, request }: Request): unknown {
  switch (call) {
    case 'begin':
      on.begin(request.position, request.shapes, request.isDumped);
      return { tables: on.tables };
    case 'loadBegin':
      on.loadBegin(request.number, request.shape);
      return { tables: on.tables };
    case 'loadWrite':
      return on.loadWrite(request.number, request.fields);
    case 'loadFinish':
      return { result: on.loadFinish(request.number, request.dumpedAt), tables: on.tables };
    case 'loadAbandon':
      return on.loadAbandon(request.number);
    case 'apply':
      return on.apply(request) ? { tables: on.tables } : undefined;
    case 'rollBack':
      return on.rollBack();
    case 'keys':
      return on.keys(request.shape, request.after);
    case 'touched':
      return on.touchedPage(request.before);
    case 'rewind':
      on.rewind(request.position, request.tables);
      return { tables: on.tables };
    case 'close':
      return on.close();
  }
}
