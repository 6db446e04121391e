import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';

/** What a start with a long log takes. */
export type StartMeasure = { readonly logMegabytes: number; readonly seconds: number; readonly memoryMiB: number };

/** Has a process write a log and be killed, then starts a node on what it left. */
export async function measureStart(directory: string, logMegabytes: number): Promise<StartMeasure> {
  const path = `${directory}/start`;
  try {
    await run('write', path, logMegabytes);
    const text = await run('open', path, logMegabytes);
    return { logMegabytes, ...(JSON.parse(text) as Pick<StartMeasure, 'seconds' | 'memoryMiB'>) };
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

async function run(what: 'write' | 'open', directory: string, logMegabytes: number): Promise<string> {
  const program = new URL('./start-process.ts', import.meta.url).pathname;
  const args = ['--conditions=batondb-source', program, what, directory, String(logMegabytes)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill('SIGKILL');
  await ended;
  return line.toString();
}
