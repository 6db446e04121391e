import { type BigIntStats, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Names of the runtimes below a library that another process is running: their modules are read while it runs. A process of a container may run
 * another file of the same name, and that is none of ours.
 */
export function runtimesInUse(library: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const link = `/proc/${entry}/exe`;
    const place = placeBelow(library, link);
    if (place !== undefined && isSameFile(statOf(link), statOf(join(library, place)))) {
      names.add(place.split('/', 1)[0] ?? '');
    }
  }
  return names;
}

/** What the link to a process's program says behind the library, as that process names it. */
function placeBelow(library: string, link: string): string | undefined {
  try {
    const program = readlinkSync(link);
    return program.startsWith(`${library}/`) ? program.slice(library.length + 1) : undefined;
  } catch {
    // It has ended, or belongs to the kernel.
    return undefined;
  }
}

function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}

function isSameFile(one: BigIntStats | undefined, other: BigIntStats | undefined): boolean {
  return one !== undefined && one.dev === other?.dev && one.ino === other.ino;
}
