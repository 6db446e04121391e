// The process that a server starts.
import { runSst } from '../src/index.ts';

process.exit(await runSst(process.argv.slice(2), process.env));
