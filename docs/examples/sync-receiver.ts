// Receives what `baton sync` tells a command, keeps it in a directory, and says what it holds.
//
//   baton sync --from postgres://baton@db1/app --to 'exec:node docs/examples/sync-receiver.ts DIRECTORY'
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** What is to be given back to Baton when it asks where we are. */
type State = { position: string | null; open: boolean; tables: Record<string, unknown> };
type Line = { op: string; position: string; open?: boolean; tables: Record<string, unknown> };

const [directory = '.'] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
const stateFile = `${directory}/state.json`;

const state: State = existsSync(stateFile)
  ? (JSON.parse(readFileSync(stateFile, 'utf8')) as State)
  : { position: null, open: false, tables: {} };

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

/** First the lines, then the position: a crash between the two gets the lines again (at least once). */
function keep(lines: readonly string[]): void {
  appendFileSync(`${directory}/lines`, `${lines.join('\n')}\n`, { flush: true });
  writeFileSync(`${stateFile}.new`, JSON.stringify(state), { flush: true });
  renameSync(`${stateFile}.new`, stateFile);
}

function answer(held: Partial<State>): void {
  process.stdout.write(`${JSON.stringify(held)}\n`);
}
