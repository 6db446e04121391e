import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import { startThreads } from './start-threads.ts';
import { stopThreads } from './stop-threads.ts';
import type { WatchdogPlan, WatchdogReply } from './watchdog.ts';

// The watchdog's process: see watchdog.ts. What goes to its standard input is from the process that started it, of the same files.

const retryMs = 2_000;

/** Words that have come and were not taken yet, and whether more can come. */
const words: string[] = [];
let isEnded = false;
let wake: () => void = () => undefined;

/** The end of our session or a Ctrl-C is nothing to us: it is for such moments that we are here. */
for (const signal of ['SIGHUP', 'SIGINT', 'SIGPIPE'] as const) process.on(signal, () => undefined);
/** Told to end (a shutdown), we do our work first: nobody would do it after us. */
process.on('SIGTERM', endOfWords);
process.stdout.on('error', () => undefined);
process.stdin.on('error', endOfWords);
process.stdin.on('end', endOfWords);
let kept = '';
process.stdin.setEncoding('utf8').on('data', (chunk: string) => {
  const lines = (kept + chunk).split('\n');
  kept = lines.pop() ?? '';
  words.push(...lines);
  wake();
});

const first = await nextWord();
if (first === undefined) process.exit(1);
const plan = JSON.parse(first) as WatchdogPlan;
reply({});
for (let word = await nextWord(); word !== undefined; word = await nextWord()) {
  const error = await (word === 'stop' ? tryStop() : tryStart());
  reply(error === undefined ? {} : { error: shorten(toErrorRecord(error)) });
  if (word === 'start' && error === undefined) process.exit(0);
}
await restart();
process.exit(0);

/** Between two threads a new word, or the end of them, counts more than the rest of the stop. */
function tryStop(): Promise<unknown> {
  return stopThreads(plan, plan.threads, () => isEnded || words.length > 0).then(
    () => undefined,
    (error: unknown) => error,
  );
}

function tryStart(): Promise<unknown> {
  return startThreads(plan, plan.threads, AbortSignal.timeout(limits.watchdogMsMax)).then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Tries until all runs: the server may be starting, or shutting down, at the very moment. */
async function restart(): Promise<void> {
  const deadline = performance.now() + limits.watchdogMsMax;
  // When the time is over there is nobody to tell. SHOW REPLICA STATUS tells whoever looks.
  while ((await tryStart()) !== undefined && performance.now() < deadline) await sleep(retryMs);
}

function endOfWords(): void {
  isEnded = true;
  wake();
}

async function nextWord(): Promise<string | undefined> {
  while (words.length === 0 && !isEnded) await new Promise<void>((resolve) => (wake = resolve));
  return isEnded ? undefined : words.shift();
}

/** A reply is one line, and lines have a limit: hundreds of channels may each have something to say. */
function shorten(record: ErrorRecord): ErrorRecord {
  return { ...record, message: record.message.slice(0, limits.errorCharactersMax) };
}

function reply(answer: WatchdogReply): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
