import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

// npm run check: every part that reads the sources without running them. One line a part; the output of a failing one in full.

type Part = { readonly name: string; readonly what: string; readonly command: readonly string[] };

/** Longest first: the types decide how long the whole takes. */
const parts: readonly Part[] = [
  { name: 'types', what: 'TypeScript, all projects (writes dist/)', command: ['tsc', '-b'] },
  {
    name: 'lint',
    what: 'oxlint with type information, import cycles, restricted imports',
    command: ['oxlint', '--deny-warnings', '.'],
  },
  {
    name: 'format',
    what: 'Biome: format and order of imports (mend: npm run format)',
    command: ['biome', 'check', '--error-on-warnings', '--max-diagnostics=50', '.'],
  },
  {
    name: 'unused',
    what: 'knip: dead code, unused and undeclared dependencies',
    command: ['knip'],
  },
  { name: 'boundaries', what: 'which way imports go', command: ['node', 'scripts/boundaries.ts'] },
];

const help = `Usage: npm run check [-- --only NAME[,NAME…]]

Parts:
${parts.map(({ name, what }) => `  ${name.padEnd(11)}${what}`).join('\n')}

Exit code 0: all passed. 1: at least one failed. 2: no such part.`;

type Outcome = { readonly passed: boolean; readonly seconds: number; readonly output: string };

const root = resolve(import.meta.dirname, '..');

function run({ command: [program = '', ...args] }: Part): Promise<Outcome> {
  const started = performance.now();
  const path = [join(root, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter);
  const child = spawn(program, args, {
    cwd: root,
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolveOutcome) => {
    const settle = (passed: boolean, message = ''): void => {
      const output = Buffer.concat(chunks).toString() + message;
      resolveOutcome({ passed, seconds: (performance.now() - started) / 1000, output });
    };
    child.on('error', (error) => settle(false, `${program}: ${error.message}; run npm ci\n`));
    child.on('close', (code, signal) => settle(code === 0, signal === null ? '' : `ended by ${signal}\n`));
  });
}

/** Runs the parts, a few at a time, and tells of each when it ends. True when all passed. */
async function runAll(chosen: readonly Part[]): Promise<boolean> {
  const waiting = [...chosen];
  let allPassed = true;
  const worker = async (): Promise<void> => {
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
      const { passed, seconds, output } = await run(part);
      console.log(`${passed ? 'ok  ' : 'FAIL'}  ${part.name.padEnd(11)}${seconds.toFixed(1).padStart(5)} s`);
      if (!passed) console.log(output.trimEnd());
      allPassed &&= passed;
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), chosen.length) }, worker));
  return allPassed;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { help: { type: 'boolean' }, only: { type: 'string' } } });
  if (values.help) return console.log(help);
  const names = values.only?.split(',') ?? parts.map(({ name }) => name);
  const unknown = names.find((name) => !parts.some((part) => part.name === name));
  if (unknown !== undefined) {
    console.error(`there is no part ${unknown}\n\n${help}`);
    process.exitCode = 2;
    return;
  }
  const started = performance.now();
  const passed = await runAll(parts.filter(({ name }) => names.includes(name)));
  console.log(
    `${passed ? 'ok  ' : 'FAIL'}  in all    ${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s`,
  );
  process.exitCode = passed ? 0 : 1;
}

await main();
