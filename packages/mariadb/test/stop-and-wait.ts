import { Server, stopReplication } from '../src/index.ts';

// A process that stops replication and then does nothing more, to be killed: `stop-and-wait.ts SOCKET`. Says `stopped`.

const { signal } = new AbortController();
const server = await Server.connect({ socketPath: process.argv[2] ?? '' }, signal);
const guard = await stopReplication(server, signal);
console.log('stopped', guard.stopped.length);
await new Promise((resolve) => setTimeout(resolve, 600_000));
