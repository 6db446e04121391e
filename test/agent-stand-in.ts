// Stands where `baton` is on a host: starts the real agent and changes what it says first, as another release would greet.
// Arguments: a JSON object with fields of the greeting; then what follows is for baton. Runs on a host of a bed.
import { spawn } from 'node:child_process';

const preamble = '\nBATON AGENT\n';
const [changes = '{}', ...words] = process.argv.slice(2);
const agent = spawn('baton', words, { stdio: ['inherit', 'pipe', 'inherit'] });
let held: Buffer | undefined = Buffer.alloc(0);

agent.stdout.on('data', (chunk: Buffer) => {
  if (held === undefined) return void process.stdout.write(chunk);
  held = Buffer.concat([held, chunk]);
  const start = held.indexOf(preamble) + preamble.length;
  if (start < preamble.length || held.length < start + 4) return;
  const end = start + 4 + held.readUInt32LE(start);
  if (held.length < end) return;
  const greeting = JSON.parse(held.toString('utf8', start + 4, end)) as object;
  const body = Buffer.from(JSON.stringify({ ...greeting, ...(JSON.parse(changes) as object) }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  process.stdout.write(Buffer.concat([held.subarray(0, start), length, body, held.subarray(end)]));
  held = undefined;
});
agent.on('exit', (code) => process.exit(code ?? 1));
