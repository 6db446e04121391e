import { runAgent } from './main.ts';

// The process of an agent on the coordinator's own machine. It exits in so many words: a worker in a slow system call
// must not keep it alive after its coordinator.
await runAgent(process.stdin, process.stdout);
process.exit(0);
