import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { childError, spawnChild } from '@batondb/core/process/child';

/** A login of an ordinary shell may lack the directories of the administrator's tools. */
const directories: readonly string[] = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'].filter(
  (directory) => directory.startsWith('/'),
);
const toolMsMax = 20_000;
/** The bit of the capability to change a network's settings; capabilities(7). */
const netAdmin = 1n << 12n;

/** What our tools see. Nothing of the agent's own surroundings is theirs to know. */
export const toolEnvironment: NodeJS.ProcessEnv = { PATH: directories.join(':'), LC_ALL: 'C' };

/** Whether this process may look at the firewall and change it. */
export function mayChangeFirewall(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return effective !== undefined && (BigInt(`0x${effective}`) & netAdmin) !== 0n;
}

export function hasTool(name: string): boolean {
  return directories.some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Runs a tool to its end and returns what it printed. Throws CHILD_FAILED when it fails, is silent or prints too much. */
export async function runTool(argv: readonly string[], input: string = ''): Promise<string> {
  await using child = await spawnChild(argv, { env: toolEnvironment, detached: true });
  const timer = setTimeout(() => void child.terminate(0), toolMsMax);
  try {
    child.stdin.end(input);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > limits.rulesetBytesMax) throw tooLarge(argv);
      chunks.push(chunk);
    }
    const exit = await child.exited;
    if (exit.code !== 0) throw childError(argv, exit);
    return Buffer.concat(chunks).toString();
  } finally {
    clearTimeout(timer);
  }
}

function tooLarge(argv: readonly string[]): BatonError {
  const message = `${argv.join(' ')} prints more than ${limits.rulesetBytesMax} bytes`;
  return new BatonError('CHILD_FAILED', message, { hint: 'open the data port yourself, and use --firewall none' });
}
