import { closeInherited } from '@batondb/core/process/inherited';

/** How the installed script names the descriptors that the server has left open for it. */
const inheritedVariable = 'BATON_INHERITED';

/** Runs `baton galera` with the words after it, and returns the exit code. */
export async function runGalera(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  if (words[0] === 'sst') {
    // What a server says is Galera's contract, not a command line of ours.
    closeInherited(environment[inheritedVariable] ?? '');
    delete environment[inheritedVariable];
    const { runSst } = await import('@batondb/galera/sst');
    return await runSst(words.slice(1), environment);
  }
  if (words[0] === 'send' || words[0] === 'receive') {
    const { runPipe } = await import('@batondb/galera/pipe/run');
    return await runPipe(words[0], words.slice(1), environment);
  }
  const { runDoor } = await import('../service/run.ts');
  const { parseGalera } = await import('./command.ts');
  return await runDoor(parseGalera, words, environment);
}
