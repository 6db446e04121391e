import { readFileSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';

/** How soon the end of the server is noticed. */
const lookMs = 500;
/** Between a server and us stands the shell that it starts us by. */
const shells = new Set(['sh', 'dash', 'bash', 'busybox']);
const shellsMax = 4;

type Process = { readonly pid: number; readonly name: string; readonly parentPid: number; readonly startTicks: string };

/**
 * Aborts when the server that started us is gone (G7): its transfer is nobody's any more. `parentPid` is what the server says of itself, if it does.
 * The timer does not keep the process alive.
 */
export function watchServer(parentPid: number | undefined, abort: AbortController): Disposable {
  const server = findServer(parentPid ?? process.ppid);
  const timer = setInterval(() => {
    if (server !== undefined && readProcess(server.pid)?.startTicks === server.startTicks) return;
    clearInterval(timer);
    abort.abort(
      new BatonError('INTERRUPTED', 'the server that had started this transfer is gone', {
        hint: "its own last lines say why; a joiner's server ends when the donor fails, whose error log has the cause then",
      }),
    );
  }, lookMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function findServer(pid: number): Process | undefined {
  let found = readProcess(pid);
  for (let count = 0; found !== undefined && shells.has(found.name) && count < shellsMax; count++)
    found = readProcess(found.parentPid);
  return found;
}

/** proc(5), stat: the name stands in parentheses and may contain them, so fields are counted from the last one. */
function readProcess(pid: number): Process | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const end = text.lastIndexOf(')');
    const fields = text.slice(end + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    const name = text.slice(text.indexOf('(') + 1, end);
    return { pid, name, parentPid: Number(fields[1]), startTicks: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}
