import { randomFillSync } from 'node:crypto';
import type { Pointer, Wasm } from './wasm.ts';

// What the build imports. Names and errors are those of emscripten's musl.

const EBADF = 8;
const EINVAL = 28;
const ENOENT = 44;
const ENOSYS = 52;
const nanosecondsPerMs = 1_000_000;
const millisecondsPerDay = 86_400_000;

type HostFunction = (...parameters: never[]) => unknown;
type HostFunctions = { readonly env: Record<string, HostFunction>; readonly wasi: Record<string, HostFunction> };

const refuse = (): number => -ENOSYS;
const missing = (): number => -ENOENT;
const badDescriptor = (): number => EBADF;

/** The functions that an instance is made with: time, time zones and memory; files are all refused. */
export function hostFunctions(wasm: Wasm): HostFunctions {
  const env: Record<string, HostFunction> = {
    emscripten_date_now: () => Date.now(),
    emscripten_get_now: () => performance.now(),
    emscripten_get_heap_max: () => 2 ** 31,
    emscripten_resize_heap: (bytes: number) => Number(wasm.grow(bytes >>> 0)),
    _tzset_js: (zone: Pointer, daylight: Pointer) => {
      const { standardMinutes, hasSummerTime } = timeZone();
      wasm.view.setInt32(zone, standardMinutes * 60, true);
      wasm.view.setInt32(daylight, Number(hasSummerTime), true);
    },
    _localtime_js: (seconds: bigint, into: Pointer) =>
      writeLocalTime(wasm.view, into, new Date(Number(seconds) * 1000)),
    _mmap_js: refuse,
    _munmap_js: refuse,
  };
  for (const name of ['chmod', 'fchmod', 'fchown32', 'fcntl64', 'ftruncate64', 'getcwd', 'ioctl', 'fstat64'])
    env[`__syscall_${name}`] = refuse;
  for (const name of ['faccessat', 'openat', 'stat64', 'newfstatat', 'lstat64', 'mkdirat', 'readlinkat', 'rmdir'])
    env[`__syscall_${name}`] = missing;
  for (const name of ['unlinkat', 'utimensat']) env[`__syscall_${name}`] = missing;
  const wasi: Record<string, HostFunction> = {
    environ_sizes_get: (count: Pointer, bytes: Pointer) => {
      wasm.view.setUint32(count, 0, true);
      wasm.view.setUint32(bytes, 0, true);
      return 0;
    },
    environ_get: () => 0,
    clock_time_get: (clock: number, _precision: bigint, into: Pointer) => {
      if (clock > 1) return EINVAL;
      const now = clock === 0 ? Date.now() : performance.now();
      wasm.view.setBigUint64(into, BigInt(Math.round(now * nanosecondsPerMs)), true);
      return 0;
    },
  };
  for (const name of ['close', 'read', 'write', 'seek', 'sync', 'fdstat_get']) wasi[`fd_${name}`] = badDescriptor;
  return { env, wasi };
}

/** Fills a piece of memory with random bytes, for xRandomness. */
export function fillRandom(bytes: Uint8Array): void {
  randomFillSync(bytes);
}

function timeZone(): { readonly standardMinutes: number; readonly hasSummerTime: boolean } {
  const year = new Date().getFullYear();
  const winter = new Date(year, 0, 1).getTimezoneOffset();
  const summer = new Date(year, 6, 1).getTimezoneOffset();
  return { standardMinutes: Math.max(winter, summer), hasSummerTime: winter !== summer };
}

/** struct tm of musl: nine integers of 32 bits, then the offset from UTC in seconds. */
function writeLocalTime(view: DataView, into: Pointer, time: Date): void {
  const year = time.getFullYear();
  const dayOfYear = Math.round(
    (Date.UTC(year, time.getMonth(), time.getDate()) - Date.UTC(year, 0, 1)) / millisecondsPerDay,
  );
  const offsetMinutes = time.getTimezoneOffset();
  const { standardMinutes, hasSummerTime } = timeZone();
  const fields = [
    time.getSeconds(),
    time.getMinutes(),
    time.getHours(),
    time.getDate(),
    time.getMonth(),
    year - 1900,
    time.getDay(),
    dayOfYear,
    Number(hasSummerTime && offsetMinutes !== standardMinutes),
    -offsetMinutes * 60,
  ];
  for (const [index, field] of fields.entries()) view.setInt32(into + index * 4, field, true);
}
