import type { CopyEvent } from '@batondb/copy/events';
import { failureLines } from '../failure.ts';
import type { Output } from '../output.ts';
import { eventLines, type Volume } from './events.ts';
import { planLines } from './plan.ts';
import { plainProgressLine } from './progress.ts';
import type { Renderer } from './renderer.ts';
import { printableValue, type Style } from './style.ts';
import { rerunLines, summaryLines } from './summary.ts';

/** A log wants to know that it goes on, not every second of it. */
const progressMs = 10_000;

export type Styles = { readonly stdout: Style; readonly stderr: Style };

/** Lines for logs and pipes: events as they come, progress each 10 s on stderr; plan (dry run) and summary on stdout. */
export function renderPlain(
  stdout: Output,
  stderr: Output,
  styles: Styles,
  volume: Volume,
  nowMs: () => number,
): Renderer {
  let progressAtMs = nowMs();
  return {
    event: async (raw) => {
      const event = printableValue(raw);
      if (event.type === 'progress') {
        if (volume === 'quiet' || nowMs() - progressAtMs < progressMs) return;
        progressAtMs = nowMs();
        return await stderr.writeLines(event.targets.map(plainProgressLine));
      }
      await stderr.writeLines(newsOf(event, volume, styles.stderr));
      await stdout.writeLines(resultOf(event, volume, styles.stdout));
    },
    failure: (error) => stderr.writeLines(failureLines(error)),
    rerun: (commandLine, isAnew) => stderr.writeLines(rerunLines(commandLine, isAnew)),
    close: () => Promise.resolve(),
  };
}

/** Lines of an event that belong to the course of things: stderr. */
export function newsOf(event: CopyEvent, volume: Volume, style: Style): string[] {
  if (event.type === 'plan') return event.dryRun ? [] : planLines(event.plan, false, volume, style);
  // The summary says again how each target ended, and once is enough for those who asked for quiet.
  if (event.type === 'target-failed' && volume === 'quiet') return [];
  return eventLines(event, volume, style);
}

/** Lines of an event that are what was asked for: stdout. */
export function resultOf(event: CopyEvent, volume: Volume, style: Style): string[] {
  if (event.type === 'summary') return summaryLines(event.summary, volume, style);
  return event.type === 'plan' && event.dryRun ? planLines(event.plan, true, volume, style) : [];
}
