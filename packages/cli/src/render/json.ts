import { failureLines } from '../failure.ts';
import type { Output } from '../output.ts';
import type { Renderer } from './renderer.ts';

/**
 * NDJSON on stdout: every event as it is, with `time` (ISO 8601, UTC) first; a failure is an event of type `error` with its
 * `error` and `exitCode`. docs/json-events.md is the contract.
 */
export function renderJson(stdout: Output, stderr: Output, nowMs: () => number): Renderer {
  const write = (event: object): Promise<void> => stdout.writeLines([jsonLine(event, nowMs())]);
  return {
    event: write,
    failure: async (error, exitCode) => {
      await write({ type: 'error', error, exitCode });
      await stderr.writeLines(failureLines(error));
    },
    rerun: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** One event as one line. */
export function jsonLine(event: object, timeMs: number): string {
  return JSON.stringify({ time: new Date(timeMs).toISOString(), ...event });
}
