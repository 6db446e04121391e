// Nodes whose log is in an etcd of the test's own.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { EtcdCluster } from '@batondb/testbed/etcd';
import { type EtcdLogOptions, type NodeOptions, openNode, type SqliteNode } from '../../src/index.ts';

/** A log's options, with a lease that does not end on a busy machine either. */
export function etcdLog(
  etcd: EtcdCluster | readonly string[],
  prefix: string,
  more: Partial<EtcdLogOptions> = {},
): EtcdLogOptions {
  const endpoints = 'endpoints' in etcd ? etcd.endpoints : etcd;
  return { kind: 'etcd', url: `etcd://${endpoints.join(',')}/${prefix}`, leaseSeconds: 30, ...more };
}

/** Opens a node of a log. */
export async function openShared(
  directory: string,
  log: EtcdLogOptions,
  more: Partial<NodeOptions> = {},
): Promise<SqliteNode> {
  return await openNode({ directory, log, readers: 1, segmentBytes: 2_097_152, ...more });
}

/** Waits until something holds. */
export async function until(what: string, isSo: () => Promise<boolean> | boolean, timeoutMs = 40_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < endMs, `waited ${timeoutMs} ms in vain: ${what}`);
    await delay(20);
  }
}

/** Waits until a node leads. */
export async function untilLeading(node: SqliteNode, timeoutMs?: number): Promise<void> {
  await until('the node leads', async () => (await node.status()).role === 'leader', timeoutMs);
}

/** The one value of a query. */
export async function valueOf(node: SqliteNode, sql: string): Promise<unknown> {
  return (await node.query(sql)).rows[0]?.[0];
}
