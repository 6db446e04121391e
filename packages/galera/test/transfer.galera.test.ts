// Whole transfers between real nodes.
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { compareNodes, type GaleraCluster, startGalera, startGaleraLoad } from '@batondb/testbed/galera';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeMethod } from './method.ts';

const timeout = 240_000;
const auth = { user: 'sst', password: 'of-all-nodes' };

async function startCluster(sandbox: Sandbox, sst: Readonly<Record<string, string>>): Promise<GaleraCluster> {
  const path = [await makeMethod(sandbox)];
  return await startGalera(sandbox, { nodes: 3, running: 1, method: 'baton', auth, path, sst });
}

for (const method of ['backup', 'files'] as const) {
  // Proves: nodes come up empty one after another under write load, and are equal table by table; a restart takes the incremental path; nothing is left but data (G1, G3, G10).
  test(`three nodes by method=${method}`, { timeout }, async (t) => {
    await using sandbox = makeSandbox();
    await using cluster = await startCluster(sandbox, { method });
    await using load = await startGaleraLoad(cluster.first);
    for (const number of [2, 3]) {
      const node = cluster.node(number);
      await node.start();
      await node.untilSynced();
      assert.match(node.log(), /baton joiner: the new data is in place/);
    }
    const second = cluster.node(2);
    writeFileSync(`${second.dataDirectory}/ours.pem`, 'a certificate');
    await second.stop();
    await second.start();
    await second.untilSynced();
    assert.match(second.log(), /the old data is good enough/);
    await load.stop();
    t.diagnostic(`${load.accepted} transactions, the longest stall ${Math.round(load.longestStallMs)} ms`);
    await cluster.untilEqual();
    for (const number of [2, 3]) assert.deepEqual(await compareNodes(cluster.first, cluster.node(number)), []);
    for (const node of cluster.nodes) assert.ok(!node.log().includes(auth.password), 'G10');
    for (const { dataDirectory } of cluster.nodes) {
      const left = readdirSync(dataDirectory).filter((name) =>
        /^\.sst|baton|sst_in_progress|xtrabackup|tables_flushed/.test(name),
      );
      assert.deepEqual(left, []);
    }
  });
}
