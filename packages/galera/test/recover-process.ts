// What a unit runs before its server, as the data directory's owner: `recover-process.ts OPTION…`, the server's own options. Prints the report.
import { recoverNode } from '../src/node/recover-node.ts';

const { report } = await recoverNode(process.argv.slice(2), new AbortController().signal);
console.log(JSON.stringify(report, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)));
