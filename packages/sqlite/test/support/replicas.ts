// Nodes with servers, of which one leads and others follow, as processes or here.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { type NodeOptions, openNode, type ServerOptions, type SqliteNode, startServer } from '../../src/index.ts';

/** A node that others can reach. */
export class Served implements AsyncDisposable {
  readonly node: SqliteNode;
  readonly url: string;
  readonly #stop: () => Promise<void>;

  constructor(node: SqliteNode, url: string, stop: () => Promise<void>) {
    this.node = node;
    this.url = url;
    this.#stop = stop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }
}

/** Small segments, so that a short test uses many of them. */
export const smallNode: Partial<NodeOptions> = { segmentBytes: 1_048_576, checkpointBytes: 2_097_152, readers: 1 };

/** Opens a node and serves it on a free port, or on a given one. */
export async function serveNode(options: NodeOptions, server: Partial<ServerOptions> = {}): Promise<Served> {
  const node = await openNode({ ...smallNode, ...options });
  const faults: unknown[] = [];
  const onFault = (fault: unknown): unknown => faults.push(fault);
  const running = await startServer(node.clients(), { listen: '127.0.0.1:0', ...server, onFault });
  return new Served(node, `${server.tls === undefined ? 'http' : 'https'}://${running.address}`, async () => {
    await running.stop();
    await node.close();
    assert.deepEqual(faults, [], 'the server was at fault');
  });
}

/** Waits until a node is where another one is, and returns that position. */
export async function caughtUp(follower: SqliteNode, leader: SqliteNode, timeoutMs = 30_000): Promise<void> {
  const { position } = leader;
  await until(
    `the follower is at ${position.epoch}.${position.index}`,
    () => follower.position.index >= position.index,
    timeoutMs,
  );
  assert.deepEqual(follower.position, leader.position);
}

/** Waits for something, and fails with its name when it does not come. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < endMs, `waited ${timeoutMs} ms in vain: ${what}`);
    await delay(5);
  }
}
