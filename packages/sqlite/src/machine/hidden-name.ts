import type { DatabaseId } from './command.ts';

// A database that is being imported has a name that no client can say, since it is not one that a client's database may have.

/** The hidden name of a database. */
export function hiddenName(id: DatabaseId): string {
  return `~${id}`;
}

export function isHidden(name: string): boolean {
  return name.startsWith('~');
}
