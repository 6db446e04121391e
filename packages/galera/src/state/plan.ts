import { BatonError } from '@batondb/core/errors';
import { type Role, roleOf, type ServerNames, type TopEntry } from './names.ts';

/** What a plan needs to know of an entry. */
export type PlanEntry = TopEntry & { readonly inode: bigint };

/** What lies where before a swap. */
export type PlanInput = {
  readonly names: ServerNames;
  /** The first one is the data directory. */
  readonly places: readonly {
    readonly path: string;
    readonly roles: readonly Role[];
    readonly top: readonly PlanEntry[];
  }[];
  /** The new data's top, wherever its entries will go. */
  readonly fresh: readonly PlanEntry[];
};

/** One move of a plan. */
export type PlanMove = { readonly place: number; readonly role: Role; readonly entry: PlanEntry };

/** What goes out and what comes in, each in the order of the steps. */
export type Plan = { readonly out: readonly PlanMove[]; readonly in: readonly PlanMove[] };

/**
 * Aria's files go out first and come in last of what is no tablespace: a server that stops at the guard has opened Aria by then, and must not
 * find a log whose tables are elsewhere. The redo log comes in last of all but the system tablespace.
 */
const outOrder: readonly Role[] = ['aria', 'redo', 'system', 'undo', 'data', 'binlog', 'binlog-index', 'relay-log'];
const inOrder: readonly Role[] = ['data', 'undo', 'system', 'aria', 'redo'];
/**
 * Logs of the old data go out and none comes in: what the node had logged ends before the new data begins, and a replica that followed it over
 * that gap would miss what is in it without a word. The server begins new ones, at the position of the new data.
 */
const neverIn: ReadonlySet<Role> = new Set(['binlog', 'binlog-index', 'relay-log']);

/**
 * Chooses what a swap moves: out goes what a server makes, in comes what is of the same kind; all else stays where it is (G9). Pure. Throws
 * BACKUP_FAILED (the new data has no system tablespace), UNSUPPORTED (symlinks), EXISTS (a name of the new data is taken by what is no
 * server's).
 */
export function choose({ names, places, fresh }: PlanInput): Plan {
  const incoming = chooseIncoming(names, places, fresh);
  const [first = ''] = names.systemTablespace;
  if (!incoming.some(({ entry }) => entry.name === first)) {
    throw new BatonError('BACKUP_FAILED', `the new data has no ${first}, so it is not a whole copy of a server's data`);
  }
  const out = chooseOutgoing({ names, places }, incoming);
  checkFree(places, out, incoming);
  return { out, in: inOrderOf(inOrder, incoming) };
}

/** What goes out, in the order of the steps, when `incoming` is to come in. Pure. Throws UNSUPPORTED (symlinks). */
export function chooseOutgoing(
  { names, places }: Omit<PlanInput, 'fresh'>,
  incoming: readonly PlanMove[],
): readonly PlanMove[] {
  const out = places.flatMap(({ roles, top }, place) => {
    const taken = new Set(incoming.filter((move) => move.place === place).map(({ entry }) => entry.name));
    return top.flatMap((entry): PlanMove[] => {
      const own = roleOf(entry, names);
      // In the data directory also what is of no use there since an option names another directory for it.
      const isOurs = own !== undefined && (place === 0 || roles.includes(own));
      const role = isOurs ? own : roleOfEmpty(entry, taken);
      return role === undefined ? [] : [{ place, role, entry }];
    });
  });
  checkNoSymlinks(out, (move) => places[move.place]?.path ?? '');
  return inOrderOf(outOrder, out);
}

function chooseIncoming(names: ServerNames, places: PlanInput['places'], fresh: readonly PlanEntry[]): PlanMove[] {
  const incoming = fresh.flatMap((entry): PlanMove[] => {
    // A database without tables is an empty directory in some versions.
    const role = roleOf(entry, names) ?? roleOfEmpty(entry, new Set([entry.name]));
    if (role === undefined || neverIn.has(role)) return [];
    const place = places.findIndex(({ roles }) => roles.includes(role));
    return [{ place: Math.max(place, 0), role, entry }];
  });
  checkNoSymlinks(incoming, () => 'the new data');
  return incoming;
}

/** An empty directory is nobody's: it makes room for what has its name. */
function roleOfEmpty(entry: PlanEntry, names: ReadonlySet<string>): Role | undefined {
  const isEmpty = entry.kind === 'directory' && !entry.isSymlink && entry.contents === 'nothing';
  return isEmpty && names.has(entry.name) && !entry.name.startsWith('.') ? 'data' : undefined;
}

function checkNoSymlinks(moves: readonly PlanMove[], where: (move: PlanMove) => string): void {
  const linked = moves.find(({ entry }) => entry.isSymlink);
  if (linked === undefined) return;
  throw new BatonError(
    'UNSUPPORTED',
    `${where(linked)}/${linked.entry.name} is a symlink, and what it leads to cannot be exchanged together with the rest`,
    { hint: 'move it into the data directory in place of the symlink; or use wsrep_sst_method=mariabackup' },
  );
}

function checkFree(places: PlanInput['places'], out: readonly PlanMove[], incoming: readonly PlanMove[]): void {
  const leaving = new Set(out.map(({ place, entry }) => `${place}/${entry.name}`));
  const there = new Set(places.flatMap(({ top }, place) => top.map(({ name }) => `${place}/${name}`)));
  for (const { place, entry } of incoming) {
    const key = `${place}/${entry.name}`;
    if (leaving.has(key) || !there.has(key)) continue;
    throw new BatonError(
      'EXISTS',
      `${places[place]?.path}/${entry.name} was not made by a server, so it stays, and the new data needs its name`,
      { hint: 'move it away' },
    );
  }
}

function inOrderOf(order: readonly Role[], moves: readonly PlanMove[]): PlanMove[] {
  // Stable: within a role they keep the order of their names.
  return [...moves].sort((one, other) => order.indexOf(one.role) - order.indexOf(other.role));
}
