import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../limits.ts';
import { startThreads } from './start-threads.ts';
import { dismissal, readiness, type WatchdogPlan } from './watchdog.ts';

// The watchdog's process: see watchdog.ts. What goes to its standard input is from the process that started it, of the same files.

const retryMs = 2_000;

/** The end of our session or a Ctrl-C is nothing to us: it is for such moments that we are here. */
for (const signal of ['SIGHUP', 'SIGINT', 'SIGPIPE'] as const) process.on(signal, () => undefined);

/** Told to end (a shutdown), we do our work first: nobody would do it after us. */
const terminated = new Promise<undefined>((resolve) => process.once('SIGTERM', () => resolve(undefined)));

const lines = readLines();
const first = await lines.next();
if (first.value === undefined) process.exit(1);
const plan = JSON.parse(first.value) as WatchdogPlan;
process.stdout.on('error', () => undefined);
process.stdout.write(`${readiness}\n`);
const word = await Promise.race([lines.next().then(({ value }) => value), terminated]);
if (word !== dismissal) await restart();
process.exit(0);

/** Tries until all runs: the server may be starting, or shutting down, at the very moment. */
async function restart(): Promise<void> {
  const deadline = performance.now() + limits.watchdogMsMax;
  for (;;) {
    try {
      return await startThreads(plan, plan.threads, AbortSignal.timeout(limits.watchdogMsMax));
    } catch {
      // There is nobody to tell. SHOW REPLICA STATUS tells whoever looks.
      if (performance.now() > deadline) return;
    }
    await sleep(retryMs);
  }
}

async function* readLines(): AsyncGenerator<string, undefined> {
  let kept = '';
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    kept += chunk;
    for (let end = kept.indexOf('\n'); end >= 0; end = kept.indexOf('\n')) {
      yield kept.slice(0, end);
      kept = kept.slice(end + 1);
    }
  }
  return undefined;
}
