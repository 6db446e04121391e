import { type Child, type SpawnOptions, spawnChild } from './child.ts';

/**
 * Becomes the program, with a process of its group beside it that reads the pipe. That ends with the program (then this process is the
 * last of the group) or with us, whom the kernel takes the pipe from however we end.
 */
const script = '{ read -r _ <&3; kill -KILL 0; } </dev/null >/dev/null 2>&1 & exec 3<&-; exec "$@"';

/**
 * Starts a program that does not outlive us, as {@link spawnChild} does with `detached`: also when we are killed by kill -9, it and its
 * children are killed at once. The program is there: one that is not is an exit code of 127.
 */
export async function spawnTethered(
  argv: readonly string[],
  options: Omit<SpawnOptions, 'detached' | 'descriptor3'> = {},
): Promise<Child> {
  return await spawnChild(['sh', '-c', script, 'sh', ...argv], { ...options, detached: true, descriptor3: 'held' });
}
