import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { printable } from './names.ts';

// What stands against taking a tree away as a whole: something mounted in it, and programs that write to it. Paths as /proc has
// them: bytes as latin1.

/** A program that has a file open for writing. */
export type Writer = { readonly pid: number; readonly command: string; readonly path: string };

/** Where an open directory is now. */
export function pathOfDescriptor(descriptor: number): string {
  return readlinkSync(`/proc/self/fd/${descriptor}`, 'latin1');
}

/** The first mount point at or below a path, for people. proc_pid_mountinfo(5): the fifth word, with \040 for a space. */
export function mountAtOrBelow(path: string): string | undefined {
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const [, , , , escaped = ''] = line.split(' ');
    const point = escaped.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (isAtOrBelow(point, path)) return printable(Buffer.from(point, 'latin1'));
  }
  return undefined;
}

/** The first program found that has the file `path`, or one below it, open for writing. Of other users' programs only root sees any. */
export function writerAtOrBelow(path: string): Writer | undefined {
  for (const pid of namesIn('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const descriptor of namesIn(`/proc/${pid}/fd`)) {
      const open = orNothing(() => readlinkSync(`/proc/${pid}/fd/${descriptor}`, 'latin1'));
      if (!isAtOrBelow(open, path) || !isForWriting(pid, descriptor)) continue;
      const command = orNothing(() => readFileSync(`/proc/${pid}/comm`, 'utf8')).trim();
      return { pid: Number(pid), command, path: printable(Buffer.from(open, 'latin1')) };
    }
  }
  return undefined;
}

/** proc_pid_fdinfo(5): the flags of open(2), octal; the last two bits are the access mode. */
function isForWriting(pid: string, descriptor: string): boolean {
  const info = orNothing(() => readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, 'latin1'));
  const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== 0;
}

function isAtOrBelow(path: string, top: string): boolean {
  return path === top || path.startsWith(`${top}/`);
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Programs end while they are looked at, and others do not let us look. */
function orNothing(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
