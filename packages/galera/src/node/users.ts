import { readFileSync } from 'node:fs';

/** The number of a group of this machine, as /etc/group has it; undefined when it does not. */
export function groupIdOf(name: string, path = '/etc/group'): number | undefined {
  return idOf(name, path);
}

/** The number of a user of this machine, as /etc/passwd has it; undefined when it does not. */
export function userIdOf(name: string, path = '/etc/passwd'): number | undefined {
  return idOf(name, path);
}

/** passwd(5), group(5): the number is the third field of both. */
function idOf(name: string, path: string): number | undefined {
  const line = readFileSync(path, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  const id = Number(line?.split(':')[2] ?? '');
  return line === undefined || !Number.isInteger(id) ? undefined : id;
}
