import { join } from 'node:path';
import type { DatabaseId } from './command.ts';

// What lies in a node's directory. While a node runs, databases lie under their numbers, so that nobody takes one for a file that
// can be copied or edited; after a clean stop they have their names.
//
//   NAME.db        a database, after a clean stop
//   .baton/state   the checkpoint record
//   .baton/log/    segments
//   .baton/pages/  databases by number
//   .baton/received/  a state that is to take the place of this one
//   .baton/incoming/  files that are to become databases
//   .baton/swap    how far that has come
//   .baton/old-TIME/  what such a state took the place of
//   dropped/       databases that were dropped
//
// A node never removes what has a database's name, and replaces nothing.

/** The paths below a node's directory. */
export class Paths {
  readonly directory: string;
  readonly own: string;
  readonly log: string;
  readonly pages: string;
  readonly dropped: string;
  readonly state: string;
  readonly received: string;
  readonly swap: string;
  readonly incoming: string;

  constructor(directory: string) {
    this.directory = directory;
    this.own = join(directory, '.baton');
    this.log = join(this.own, 'log');
    this.pages = join(this.own, 'pages');
    this.dropped = join(directory, 'dropped');
    this.state = join(this.own, 'state');
    this.received = join(this.own, 'received');
    this.swap = join(this.own, 'swap');
    this.incoming = join(this.own, 'incoming');
  }

  /** A database's file while the node runs. */
  pagesOf(database: DatabaseId): string {
    return join(this.pages, `${database}.pages`);
  }

  /** A database's file after a clean stop. */
  closed(name: string): string {
    return join(this.directory, `${name}.db`);
  }
}

/** Where a dropped database's file goes. */
export function dropPath({ dropped }: Paths, { name, id }: { readonly name: string; readonly id: DatabaseId }): string {
  return join(dropped, `${name}.${id}.db`);
}
