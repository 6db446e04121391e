import { randomUUID } from 'node:crypto';
import { BatonError } from '@batondb/core/errors';
import type { EtcdClient } from './client.ts';
import type { Comparison } from './messages.ts';

/**
 * Sees whether comparisons compare: one that holds lets a transaction happen, and one that does not keeps it from happening. A codec that drops a
 * field, a proxy that does not know one, and an etcd that is none would let a leader write that does not lead any more (T3). Throws UNSUPPORTED. Its key
 * goes with `lease` if not before.
 */
export async function testFences(client: EtcdClient, prefix: string, lease: number): Promise<void> {
  const key = `${prefix}self-test/${randomUUID()}`;
  const put = [{ put: key, value: 'first', lease }];
  const made = await client.txn({ when: [{ key, version: 0 }], do: put });
  await client.txn({ when: [], do: [{ delete: key }] });
  const again = await client.txn({ when: [{ key, createRevision: 0 }], do: put });
  const cases: readonly (readonly [Comparison, boolean])[] = [
    [{ key, createRevision: made.revision }, false],
    [{ key, createRevision: again.revision }, true],
    [{ key, modRevision: made.revision }, false],
    [{ key, modRevision: again.revision }, true],
    [{ key, version: 0 }, false],
    [{ key, version: 1 }, true],
    [{ key, value: 'second' }, false],
    [{ key, value: 'first' }, true],
    [{ key, modRevision: again.revision, is: 'less' }, false],
    [{ key, modRevision: made.revision, is: 'greater' }, true],
    [{ key, version: 1, is: 'different' }, false],
  ];
  for (const [comparison, expected] of cases) {
    const { succeeded } = await client.txn({ when: [comparison], do: [] });
    const written = await client.write({ when: [comparison], do: [] });
    const agrees = succeeded === expected && written.succeeded === expected;
    if (made.succeeded && again.succeeded && agrees) continue;
    throw new BatonError('UNSUPPORTED', `this etcd takes ${JSON.stringify(comparison)} for ${String(succeeded)}`, {
      hint: 'connect to etcd itself, of version 3.4 or later',
    });
  }
  await client.txn({ when: [], do: [{ delete: key }] });
}
