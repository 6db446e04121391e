// A process with a node that follows another one, until it is killed: `node replica-process.ts DIRECTORY URL`.
import { openNode } from '../src/index.ts';
import { smallNode } from './support/replicas.ts';

const [directory = '', url = ''] = process.argv.slice(2);
await openNode({ ...smallNode, directory, follow: { url } });
process.stdout.write('ready\n');
