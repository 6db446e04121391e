import { limits } from '../limits.ts';
import { type CommandToWrite, encodeCommands, type FramesToWrite, framesPerEntry } from './command.ts';
import { mergeGroup } from './merge-group.ts';
import type { Store } from './store.ts';

/**
 * Payloads of entries for what is committed now, after the commands that are given. Small groups of all databases share one; a large one is cut into
 * parts. The next one is made when the one before it is accepted, since it follows from that.
 */
export function* groupPayloads(
  store: Store,
  first: CommandToWrite[],
  entryBytesMax: number = limits.entryBytesMax,
): Generator<Buffer> {
  let commands = first;
  let bytes = 0;
  for (const database of store.databases) {
    if (database.parts !== undefined) commands.push({ kind: 'undo', database: database.id });
    if (database.ends.length === 0) continue;
    const group = mergeGroup(database, (...page) => store.readPublished(...page));
    const perEntry = framesPerEntry(group, entryBytesMax);
    const groupBytes = group.pages.length * database.pageBytes;
    if (bytes > 0 && bytes + groupBytes > entryBytesMax / 2) {
      yield encodeCommands(commands);
      [commands, bytes] = [[], 0];
    }
    for (const part of cut(group, perEntry)) {
      if (part.commit === undefined) {
        yield encodeCommands([...commands, part]);
        commands = [];
      } else commands.push(part);
    }
    bytes += groupBytes;
  }
  if (commands.length > 0) yield encodeCommands(commands);
}

/** A group as parts that each fit into an entry; the last one has the commit. */
function* cut(group: FramesToWrite, pagesMax: number): Generator<FramesToWrite> {
  const { commit, ...rest } = group;
  for (let at = 0; at === 0 || at < group.pages.length; at += pagesMax) {
    const isLast = at + pagesMax >= group.pages.length;
    const pages = group.pages.slice(at, at + pagesMax);
    yield isLast && commit !== undefined ? { ...rest, pages, commit } : { ...rest, pages };
  }
}
