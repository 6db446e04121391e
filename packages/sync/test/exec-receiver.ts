import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

// A command as docs/sync-ndjson.md describes it: it keeps lines in one file, and the position in another, and says what it holds. With a number it dies after
// as many lines.

const [directory = '.', linesMax = 'Infinity'] = process.argv.slice(2);
const stateFile = `${directory}/state.json`;
type State = { position: string | null; open?: boolean; tables: Record<string, unknown> };
const state: State = existsSync(stateFile)
  ? (JSON.parse(readFileSync(stateFile, 'utf8')) as State)
  : { position: null, tables: {} };

let pending: string[] = [];
let count = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (++count > Number(linesMax)) {
    process.stderr.write('the receiver has had enough\n');
    process.exit(3);
  }
  const { op, position, open, tables } = JSON.parse(line) as {
    op: string;
    position: string;
    open?: boolean;
    tables?: Record<string, unknown>;
  };
  if (op === 'hello') process.stdout.write(`${JSON.stringify(state)}\n`);
  else if (op === 'state') Object.assign(state.tables, tables);
  else if (op === 'rollback') pending = [];
  else if (op === 'commit') {
    state.position = position;
    state.open = open ?? false;
    appendFileSync(`${directory}/lines`, [...pending, line, ''].join('\n'));
    writeFileSync(stateFile, JSON.stringify(state));
    pending = [];
    process.stdout.write(`${JSON.stringify({ position })}\n`);
  } else pending.push(line);
}
