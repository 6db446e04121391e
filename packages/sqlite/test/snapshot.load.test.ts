// A large snapshot while writers work: figures for a person to look at, and the state for a judge.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { trustedPeer } from '@batondb/core/transfer/offering';
import { SocketConnection } from '@batondb/core/transport/socket-connection';
import type { Connection } from '@batondb/core/transport/transport';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode } from '../src/index.ts';
import { sendSnapshot } from '../src/snapshot/transfer.ts';
import { isSoak } from './property.ts';

const megabytes = isSoak ? 550 : 40;
const never = new AbortController().signal;

// Proves: writers go on while a snapshot is sent, and all of it arrives. The figures are printed: a machine's own speed is in them.
test('a snapshot beside writers', { timeout: isSoak ? 1_800_000 : 120_000 }, async (t) => {
  await using sandbox = makeSandbox();
  await using node = await openNode({ directory: sandbox.join('from'), readers: 1 });
  await node.execute('CREATE TABLE noise (a BLOB)');
  for (let row = 0; row < megabytes / 4; row++) await node.execute('INSERT INTO noise VALUES (randomblob(4000000))');
  await node.execute('CREATE TABLE work (a INTEGER PRIMARY KEY, b TEXT)');
  let isDone = false;
  const counts = { writes: 0, longestMs: 0, rssBytes: 0 };
  const writer = async (): Promise<void> => {
    while (!isDone) {
      const startMs = performance.now();
      await node.execute("INSERT INTO work (b) VALUES ('some text')");
      counts.writes += 1;
      counts.longestMs = Math.max(counts.longestMs, performance.now() - startMs);
    }
  };
  const measure = async (work: () => Promise<unknown>): Promise<string> => {
    Object.assign(counts, { writes: 0, longestMs: 0, rssBytes: 0 });
    const watch = setInterval(() => {
      counts.rssBytes = Math.max(counts.rssBytes, process.memoryUsage.rss());
    }, 50);
    const startMs = performance.now();
    await work();
    clearInterval(watch);
    const seconds = (performance.now() - startMs) / 1000;
    const { writes, longestMs, rssBytes } = counts;
    return `${Math.round(writes / seconds)} writes/s in ${seconds.toFixed(1)} s, longest ${Math.round(longestMs)} ms, ${Math.round(rssBytes / 1e6)} MB`;
  };
  const writers = [1, 2, 3, 4].map(() => writer());
  t.diagnostic(`alone:  ${await measure(() => new Promise((resolve) => setTimeout(resolve, isSoak ? 10_000 : 1000)))}`);
  const receiver = await startReceiver(sandbox.join('to'));
  t.diagnostic(`beside: ${await measure(() => sendSnapshot(node.desk, receiver.connection, never))}`);
  assert.equal(await receiver.exitCode, 0);
  isDone = true;
  await Promise.all(writers);
  assert.ok(receiver.connection.bytesSent > megabytes * 900_000);
});

/** Another machine, as far as one can be had here: a process behind all others. */
async function startReceiver(directory: string): Promise<{ connection: Connection; exitCode: Promise<number | null> }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const program = fileURLToPath(new URL('./support/snapshot-receiver.ts', import.meta.url));
  const argv = ['--conditions=batondb-source', program, String(port), directory];
  const child = spawn(process.execPath, argv, { stdio: 'inherit' });
  const exitCode = once(child, 'exit').then(([code]) => code as number | null);
  const [socket] = (await once(server, 'connection')) as [Socket];
  server.close();
  return { connection: new SocketConnection(socket, trustedPeer('receiver')), exitCode };
}
