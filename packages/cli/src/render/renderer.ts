import type { CopyEvent } from '@batondb/copy/events';
import type { ErrorRecord } from '@batondb/core/errors';
import type { View } from '../command-line.ts';
import type { Output } from '../output.ts';
import { renderJson } from './json.ts';
import { renderPlain } from './plain.ts';
import { renderTerminal } from './terminal.ts';

/** Shows events to whoever reads the output. Each call resolves when its text is written. */
export type Renderer = {
  event(event: CopyEvent): Promise<void>;
  /** Why the copy ended early or was refused, and what to do: lines that the summary does not have. */
  failure(error: ErrorRecord, exitCode: number): Promise<void>;
  /** How to go on. `isAnew`: nothing of this run will be of use. */
  rerun(commandLine: string, isAnew: boolean): Promise<void>;
  /** Leaves the terminal as it was. May be called twice. */
  close(): Promise<void>;
};

/** The renderer for what is connected: NDJSON when asked for, lines rewritten in place on a terminal, else plain lines. */
export function makeRenderer(view: View, stdout: Output, stderr: Output, environment: NodeJS.ProcessEnv): Renderer {
  if (view.form === 'json') return renderJson(stdout, stderr, Date.now);
  const canRewrite = stderr.isTerminal && environment['TERM'] !== 'dumb' && view.volume !== 'quiet';
  const hasColor = (output: Output): boolean =>
    output.isTerminal && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
  const styles = { stdout: { hasColor: hasColor(stdout) }, stderr: { hasColor: hasColor(stderr) } };
  return canRewrite
    ? renderTerminal(stdout, stderr, styles, view.volume)
    : renderPlain(stdout, stderr, styles, view.volume, Date.now);
}
