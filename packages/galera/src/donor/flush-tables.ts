import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { formatDuration } from '@batondb/core/text/format';
import { donorLines, flushAnswerFiles } from '../contract/lines.ts';
import { type GaleraPosition, parsePosition } from '../contract/position.ts';
import { pause } from '../pause.ts';

const lookMs = 20;

/**
 * Has the server hold back all writes until it hears `continue`; returns where it stands. Throws STALLED when it does not within `msMax`,
 * BACKUP_FAILED when it cannot.
 */
export async function flushTables(
  dataDirectory: string,
  say: (line: string) => void,
  msMax: number,
  signal: AbortSignal,
): Promise<GaleraPosition> {
  const [done, failed] = [flushAnswerFiles.done, flushAnswerFiles.failed].map((name) => join(dataDirectory, name)) as [
    string,
    string,
  ];
  // The server never removes them.
  for (const path of [done, failed]) rmSync(path, { force: true });
  say(donorLines.flushTables);
  for (const endsMs = performance.now() + msMax; performance.now() < endsMs; await pause(lookMs, signal)) {
    if (existsSync(failed)) {
      throw new BatonError('BACKUP_FAILED', 'the server could not flush its tables', {
        hint: "look at the donor's error log, and for statements that hold table locks",
      });
    }
    const text = existsSync(done) ? readFileSync(done, 'utf8').trim() : '';
    if (text !== '') return parsePosition(text);
  }
  throw new BatonError('STALLED', `the server has not flushed its tables within ${formatDuration(msMax)}`, {
    hint: 'look for long statements and table locks on the donor',
  });
}

/** Lets the server go on, and removes what it has answered with. */
export function letGoOn(dataDirectory: string, say: (line: string) => void): void {
  say(donorLines.continue);
  rmSync(join(dataDirectory, flushAnswerFiles.done), { force: true });
}
