import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '@batondb/core/errors';
import { EtcdClient } from '@batondb/etcd';
import { keepLease, type LeaseOrder, type LeaseReport, type LeaseThreadData } from './etcd-lease.ts';
import { ReadGate } from './read-gate.ts';

// The thread that keeps a leader's lease.

function main(): void {
  assert(parentPort !== null, 'N0: this module is a worker');
  const port = parentPort;
  const { access, gate: memory } = workerData as LeaseThreadData;
  const gate = new ReadGate(memory);
  const client = new EtcdClient(access);
  let current = new AbortController();
  port.on('message', (order: LeaseOrder) => {
    current.abort();
    if (order === null) return;
    current = new AbortController();
    void keepLease(client, order, (id, untilNs) => gate.prolong(id, untilNs), current.signal).then((hasEnded) => {
      if (hasEnded) port.postMessage({ ended: order.id } satisfies LeaseReport);
    });
  });
}

main();
