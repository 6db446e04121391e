import { readdirSync, readlinkSync } from 'node:fs';

/** Names of the runtimes below a library that another process is running: their modules are read while it runs. */
export function runtimesInUse(library: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const program = programOf(entry);
    if (program?.startsWith(`${library}/`)) names.add(program.slice(library.length + 1).split('/', 1)[0] ?? '');
  }
  return names;
}

function programOf(processId: string): string | undefined {
  try {
    return readlinkSync(`/proc/${processId}/exe`);
  } catch {
    // It has ended, or belongs to the kernel.
    return undefined;
  }
}
