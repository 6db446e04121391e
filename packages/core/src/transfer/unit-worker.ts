import { parentPort } from 'node:worker_threads';
import { toErrorRecord } from '../errors.ts';
import { openLibc } from '../files/libc.ts';
import { JobRunner } from './job-runner.ts';
import type { WorkerReply, WorkerRequest } from './worker-pool.ts';

// The shell of a worker thread: jobs in, results out. Buffers a result names move back without a copy.

const port = parentPort;
if (port === null) throw new Error('this module runs in a worker thread');
openLibc();
const runner = new JobRunner();
port.postMessage('ready' satisfies WorkerReply);

port.on('message', ({ number, job }: WorkerRequest) => {
  try {
    const { result, transfer } = runner.run(job);
    port.postMessage({ number, result } satisfies WorkerReply, [...transfer]);
  } catch (error) {
    port.postMessage({ number, error: toErrorRecord(error) } satisfies WorkerReply);
  }
});
