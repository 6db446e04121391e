import { parentPort, workerData } from 'node:worker_threads';
import { toErrorRecord } from '../errors.ts';
import { openLibc } from '../files/libc.ts';
import { toBatonError } from '../files/system-error.ts';
import { type UnpackTask, unpackArchive } from './unpack-job.ts';
import type { UnpackReply } from './unpack-thread.ts';

// The shell of the thread that unpacks one archive.

const port = parentPort;
if (port === null) throw new Error('this module runs in a worker thread');
const tell = (reply: UnpackReply): void => port.postMessage(reply);
/** Often enough for a person, seldom enough to cost nothing. */
const progressMs = 200;

openLibc();
tell({ type: 'ready' });
let toldAtMs = 0;
try {
  const result = await unpackArchive(workerData as UnpackTask, (progress) => {
    const nowMs = performance.now();
    if (nowMs - toldAtMs < progressMs) return;
    toldAtMs = nowMs;
    tell({ type: 'progress', progress });
  });
  tell({ type: 'done', result });
} catch (error) {
  tell({ type: 'failed', error: toErrorRecord(toBatonError(error)) });
}
