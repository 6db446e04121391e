// A process with a node that serves, moves money and says what was acknowledged, until it is killed:
// `node replica-leader-process.ts DIRECTORY LISTEN SEED FIRST_ID`.
import { Random } from '@batondb/testbed/random';
import { openBank, transfer } from './bank.ts';
import { serveNode } from './support/replicas.ts';

const [directory = '', listen = '', seed = '', first = ''] = process.argv.slice(2);
const random = new Random(Number(seed));
const { node } = await serveNode({ directory }, { listen });
await node.batch(openBank, { key: 'open' });
process.stdout.write('ready\n');
for (let id = Number(first); ; id++) {
  await node.batch(transfer(id, random), { key: `transfer ${id}` });
  process.stdout.write(`${id}\n`);
  if (id % 50 === 0) void node.checkpoint();
}
