import { version } from '@batondb/core/version';
import { exitCodes } from '../exit-codes.ts';
import { rawArguments } from '../raw-arguments.ts';
import { runGalera } from './run.ts';

// The entry of what is installed on a database host: a baton with this one door. A server waits for it, so it loads nothing else.

async function main([first, ...rest]: readonly string[]): Promise<number> {
  if (first === 'galera') return await runGalera(rest, process.env);
  const isAsked = first === '--version' || first === '-V';
  const text = isAsked ? `baton ${version}` : 'baton: this baton has only the command galera; see: baton galera --help';
  await new Promise<void>((resolve) => {
    (isAsked ? process.stdout : process.stderr).write(`${text}\n`, () => resolve());
  });
  return isAsked ? exitCodes.ok : exitCodes.usage;
}

// A thread that somebody forgot must not keep a server waiting.
process.exit(await main(rawArguments(process.argv.slice(2))));
