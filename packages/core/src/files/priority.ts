import { readdirSync } from 'node:fs';
import { getThreadPriority, setThreadIoPriority, setThreadPriority } from './libc.ts';

/** Behind everything a live host does for its users, but not starved. */
const nice = 10;
const ioClassBestEffort = 2;
const ioLevelLowest = 7;

/**
 * Lowers the CPU and I/O priority of every thread of this process; threads started later inherit it. A priority that is lower
 * already stays. Failures are ignored: the copy is right at any priority.
 */
export function lowerPriority(): void {
  for (const name of readdirSync('/proc/self/task')) {
    const thread = Number(name);
    if (getThreadPriority(thread) < nice) setThreadPriority(thread, nice);
    setThreadIoPriority(thread, (ioClassBestEffort << 13) | ioLevelLowest);
  }
}

/** The same for the thread that calls it, and no other one. */
export function lowerThreadPriority(): void {
  const callingThread = 0;
  setThreadPriority(callingThread, nice);
  setThreadIoPriority(callingThread, (ioClassBestEffort << 13) | ioLevelLowest);
}
