import { openNode, startServer } from '@batondb/sqlite';
import { prepare } from './embedded.ts';

// A server in a process of its own. Says its address in one line, and ends when its standard input does.

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('a directory is missing');
await using node = await openNode({ directory });
await prepare(node);
const server = await startServer(node.clients(), { listen: '127.0.0.1:0', onFault: (fault) => console.error(fault) });
console.log(server.address);
for await (const _ of process.stdin);
await server.stop();
