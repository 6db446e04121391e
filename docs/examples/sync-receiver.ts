// Receives what `baton sync` tells a command, keeps it in a directory, and says what it holds.
//
//   baton sync --from postgres://baton@db1/app --to 'exec:node docs/examples/sync-receiver.ts DIRECTORY'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createInterface } from 'node:readline';

/** What is to be given back to Baton when it asks where we are. */
type State = { position: string | null; open: boolean; tables: Record<string, unknown> };
type Line = { op: string; position: string; open?: boolean; tables: Record<string, unknown> };

const [directory = '.'] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
const stateFile = `${directory}/state.json`;
const linesFile = `${directory}/lines`;

/** `bytes`: how much of the lines is of this state and those before it. */
const { bytes, ...state }: State & { bytes: number } = existsSync(stateFile)
  ? (JSON.parse(readFileSync(stateFile, 'utf8')) as State & { bytes: number })
  : { position: null, open: false, tables: {}, bytes: 0 };
// What was kept and not written down comes again: so each line is there once.
if (existsSync(linesFile)) truncateSync(linesFile, bytes);

/** Lines that count with the next commit. */
let pending: string[] = [];

for await (const line of createInterface({ input: process.stdin })) {
  const { op, position, open = false, tables } = JSON.parse(line) as Line;
  if (op === 'hello') answer(state);
  else if (op === 'state') Object.assign(state.tables, tables);
  else if (op === 'rollback') pending = [];
  else if (op === 'commit') {
    Object.assign(state, { position, open });
    keep([...pending, line]);
    pending = [];
    answer({ position });
  } else pending.push(line);
}

/** First the lines, then the position, and how many bytes are before it. */
function keep(lines: readonly string[]): void {
  appendFileSync(linesFile, `${lines.join('\n')}\n`, { flush: true });
  const kept = JSON.stringify({ ...state, bytes: statSync(linesFile).size });
  writeFileSync(`${stateFile}.new`, kept, { flush: true });
  renameSync(`${stateFile}.new`, stateFile);
}

function answer(held: Partial<State>): void {
  process.stdout.write(`${JSON.stringify(held)}\n`);
}
