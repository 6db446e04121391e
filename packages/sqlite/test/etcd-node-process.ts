// A node whose log is in etcd, as a process that can be killed: it inserts rows as long as it leads, and says which ones were acknowledged.
import { openNode } from '../src/index.ts';

const [directory = '', url = '', name = ''] = process.argv.slice(2);
const node = await openNode({
  directory,
  readers: 1,
  segmentBytes: 2_097_152,
  log: { kind: 'etcd', url, leaseSeconds: 2 },
});
console.log('open');
for (let number = 1; ; ) {
  try {
    await node.execute('CREATE TABLE IF NOT EXISTS t (v TEXT PRIMARY KEY)');
    const value = `${name}-${number}`;
    await node.execute('INSERT INTO t VALUES (?)', [value]);
    console.log(value);
    number += 1;
  } catch (error) {
    if ((error as { retryable?: boolean }).retryable !== true) throw error;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
