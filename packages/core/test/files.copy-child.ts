// Copies argv[2] to argv[3] as whatever user runs it, and prints what came of it.
import { copyTree } from './files.copy-tree.ts';

const { report, changes, notKept } = copyTree(process.argv[2]!, process.argv[3]!);
console.log(JSON.stringify({ report, changes, notKept }));
