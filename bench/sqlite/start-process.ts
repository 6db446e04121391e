import { openNode } from '@batondb/sqlite';

// `write DIRECTORY MEGABYTES`: writes a log of that size without a checkpoint, and says so. `open DIRECTORY`: opens it, and says
// what that took. It is killed in either case, so that the log stays as it is.

const [what, directory = '', megabytes = '0'] = process.argv.slice(2);
// No checkpoint by itself: the log is to be as long as was asked for.
const settings = { directory, checkpointBytes: 2 ** 40, indexPages: 2 ** 20 };
if (what === 'write') {
  const node = await openNode(settings);
  await node.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, content BLOB)');
  while ((await node.status()).logBytes < Number(megabytes) * 1e6)
    await node.execute('INSERT INTO t (content) VALUES (randomblob(100000))');
  console.log('written');
} else {
  const begin = performance.now();
  const node = await openNode(settings);
  const { rows } = await node.query('SELECT count(*) FROM t');
  const seconds = (performance.now() - begin) / 1000;
  const memoryMiB = process.memoryUsage.rss() / 2 ** 20;
  console.log(JSON.stringify({ seconds, memoryMiB, rows: rows[0]![0] }));
}
