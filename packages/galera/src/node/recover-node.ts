import { BatonError } from '@batondb/core/errors';
import { findProgram } from '@batondb/mariadb/client';
import { becomeOwner } from '../state/become-owner.ts';
import { type RecoverReport, recover } from '../state/recover.ts';
import { type NodeWords, readNodeOptions } from './node-options.ts';

/** Words that say where options come from have to be the first ones. */
const isFileWord = (word: string): boolean => word.startsWith('--defaults-');

/**
 * Brings the data directory of a node into order, as the server's options name it. Throws what recover() and readNodeOptions() throw, UNSUPPORTED without
 * a server to ask for its position. Called by root it gives that up for the directory's owner, whom the server's user is.
 */
export async function recoverNode(
  words: NodeWords,
  signal: AbortSignal,
): Promise<{ readonly dataDirectory: string; readonly report: RecoverReport }> {
  const { dataDirectory } = await readNodeOptions(words, signal);
  const program = findProgram('mariadbd') ?? findProgram('mysqld');
  if (program === undefined) {
    throw new BatonError('UNSUPPORTED', 'this machine has no mariadbd, which recovers its position', {
      hint: 'apt-get install mariadb-server',
    });
  }
  const ordered = [...words.filter(isFileWord), ...words.filter((word) => !isFileWord(word))];
  becomeOwner(dataDirectory);
  const argv = [program, ...ordered, `--datadir=${dataDirectory}`];
  return { dataDirectory, report: await recover({ dataDirectory, command: { argv } }, signal) };
}
