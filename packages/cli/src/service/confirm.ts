import { createInterface } from 'node:readline/promises';
import { usage } from '../option-values.ts';
import type { CommandContext } from './context.ts';

/**
 * Asks before something is destroyed; true for a yes. Where nobody is at the terminal, `--yes` has to have been said: throws USAGE without it.
 * `what` is a sentence, such as `the database shop is dropped`.
 */
export async function confirm(what: string, isSaid: boolean, { stderr }: CommandContext): Promise<boolean> {
  if (isSaid) return true;
  if (process.stdin.isTTY !== true || !stderr.isTerminal)
    throw usage(`${what}, and nobody is here to be asked`, 'say --yes');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${what}. Go on? [y/N] `);
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
