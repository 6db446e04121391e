import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '@batondb/core/errors';
import { EtcdClient } from './client.ts';
import { keepLease, type LeaseOrder, type LeaseReport, type LeaseThreadData } from './lease.ts';
import { LeaseClock } from './lease-clock.ts';

// The thread that keeps a lease.

function main(): void {
  assert(parentPort !== null, 'T5: this module is a worker');
  const port = parentPort;
  const { access, clock: memory } = workerData as LeaseThreadData;
  const clock = new LeaseClock(memory);
  const client = new EtcdClient(access);
  let current = new AbortController();
  port.on('message', (order: LeaseOrder) => {
    current.abort();
    if (order === null) return;
    current = new AbortController();
    void keepLease(client, order, (id, untilNs) => clock.prolong(id, untilNs), current.signal).then((hasEnded) => {
      if (hasEnded) port.postMessage({ ended: order.id } satisfies LeaseReport);
    });
  });
}

main();
