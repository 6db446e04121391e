// A process with a node that moves money and says what was acknowledged, until it is killed: `node bank-process.ts DIRECTORY SEED FIRST_ID`.
import { Random } from '@batondb/testbed/random';
import { openNode } from '../src/index.ts';
import { openBank, transfer } from './bank.ts';

const [directory = '', seed = '', first = ''] = process.argv.slice(2);
const clients = 8;
const random = new Random(Number(seed));
const node = await openNode({ directory, readers: 1, checkpointBytes: 4_194_304, segmentBytes: 1_048_576 });
let nextId = Number(first);
// A process before this one may have been killed before its first transfer.
await node.batch(openBank, { key: 'open' });
process.stdout.write('ready\n');

await Promise.all(
  Array.from({ length: clients }, async () => {
    for (;;) {
      const id = nextId++;
      await node.batch(transfer(id, random), { key: `transfer ${id}` });
      process.stdout.write(`${id}\n`);
      if (id % 500 === 0) void node.checkpoint();
    }
  }),
);
