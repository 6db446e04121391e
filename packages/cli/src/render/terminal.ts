import { writeSync } from 'node:fs';
import type { Carrying, TargetProgress } from '@batondb/copy/events';
import { failureLines } from '../failure.ts';
import type { Output } from '../output.ts';
import { carryingLines, type Volume } from './events.ts';
import { newsOf, resultOf, type Styles } from './plain.ts';
import { progressBlock } from './progress.ts';
import type { Renderer } from './renderer.ts';
import { Screen, showCursor } from './screen.ts';
import { printableValue } from './style.ts';
import { rerunLines } from './summary.ts';

/** A line per target (before that, per agent on its way), rewritten in place on stderr, below the lines of what happened; the summary on stdout. */
export function renderTerminal(stdout: Output, stderr: Output, styles: Styles, volume: Volume): Renderer {
  const screen = new Screen();
  let targets: readonly TargetProgress[] = [];
  const carrying = new Map<string, Carrying>();
  let isClosed = false;
  const block = (): string[] => {
    const { columns, rows } = stderr.size;
    // One row is the cursor's; a line of full width would wrap on some terminals.
    if (targets.length > 0) return progressBlock(targets, columns - 1, rows - 1, styles.stderr);
    const lines = carryingLines(carrying.values()).slice(0, rows - 1);
    return lines.map((line) => line.slice(0, columns - 1));
  };
  const say = (lines: readonly string[]): Promise<void> => stderr.write(screen.draw(lines, isClosed ? [] : block()));
  const close = async (): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    process.off('exit', restoreCursor);
    await stderr.write(screen.end());
  };
  process.on('exit', restoreCursor);
  return {
    event: async (raw) => {
      const event = printableValue(raw);
      if (event.type === 'progress') ({ targets } = event);
      if (event.type === 'carrying') carrying.set(event.host, event);
      if (event.type === 'carried') carrying.delete(event.host);
      // What ends preflight ends them too: a host on which it failed says nothing more.
      if (event.type === 'findings' || event.type === 'plan') carrying.clear();
      const result = resultOf(event, volume, styles.stdout);
      // Both streams may be the same terminal: the block has to go before something else is written there.
      if (result.length > 0) await close();
      const news = newsOf(event, volume, styles.stderr);
      if (news.length > 0 || event.type === 'progress' || event.type === 'carrying') await say(news);
      await stdout.writeLines(result);
    },
    failure: async (error) => {
      await close();
      await stderr.writeLines(failureLines(error));
    },
    rerun: async (commandLine, isAnew) => {
      await close();
      await stderr.writeLines(rerunLines(commandLine, isAnew));
    },
    close,
  };
}

/** On any way out, a second Ctrl-C included: a shell without a cursor is what people remember of a tool. */
export function restoreCursor(): void {
  try {
    writeSync(2, showCursor);
  } catch {
    // The terminal is gone, and its cursor with it.
  }
}
