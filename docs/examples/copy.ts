// Copies a source to targets by the library, and prints what happens.
//
//   node docs/examples/copy.ts SOURCE TARGET…
import { type CopyEvent, type CopySummary, copy, parseEndpoint } from '@batondb/copy';
import { BatonError } from '@batondb/core/errors';

async function run(source: string, targets: readonly string[], signal: AbortSignal): Promise<CopySummary> {
  const plan = { source: parseEndpoint(source), targets: targets.map(parseEndpoint) };
  for await (const event of copy(plan, { verify: 'disk', exclude: ['*.tmp'] }, signal)) {
    show(event);
    if (event.type === 'summary') return event.summary;
  }
  // The last event of a copy that does not throw is its summary, except for a dry run.
  throw new Error('unreachable');
}

function show(event: CopyEvent): void {
  switch (event.type) {
    case 'plan':
      console.log(`${event.plan.files} files, ${event.plan.contentBytes} bytes`);
      for (const { from, to } of event.plan.hops) console.log(`hop: ${from} → ${to}`);
      break;
    case 'progress':
      for (const { target, doneBytes, totalBytes } of event.targets)
        console.log(`${target}: ${doneBytes} of ${totalBytes} bytes`);
      break;
    case 'target-done':
      console.log(`done: ${event.result.finalPath} ${event.result.treeDigest}`);
      break;
    case 'target-failed':
      console.error(`failed: ${event.result.target}: ${event.result.error?.message}`);
      break;
    default:
      // New kinds of events may come in any release.
      break;
  }
}

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort(new BatonError('INTERRUPTED', 'Ctrl-C')));

const [source, ...targets] = process.argv.slice(2);
if (source === undefined || targets.length === 0) {
  console.error('usage: copy.ts SOURCE TARGET…');
  process.exit(2);
}
try {
  const summary = await run(source, targets, interrupted.signal);
  const failed = summary.targets.filter(({ state }) => state === 'failed');
  for (const { what, path } of summary.changes) console.error(`${what}: ${path}`);
  process.exitCode = failed.length === 0 && summary.changesTotal === 0 ? 0 : 1;
} catch (error) {
  // Refused before a byte moved, or ended by the signal: by now no process of the copy is left on any host.
  if (!(error instanceof BatonError)) throw error;
  console.error(`${error.code}: ${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`);
  process.exitCode = 1;
}
