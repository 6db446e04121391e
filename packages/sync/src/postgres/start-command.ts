import { formatLsn, type Lsn } from './position.ts';
import { quoteName, quoteText } from './sql.ts';

export type StartOptions = {
  readonly slot: string;
  readonly publications: readonly string[];
  readonly after: Lsn;
  readonly serverVersion: number;
};

/**
 * START_REPLICATION with the newest protocol that the server has ("55.2.1. Logical Streaming Replication Parameters"). From 14 on large transactions come
 * before they commit, which spares the server files of its own.
 */
export function startCommand({ slot, publications, after, serverVersion }: StartOptions): string {
  const version = serverVersion >= 160_000 ? 4 : serverVersion >= 150_000 ? 3 : serverVersion >= 140_000 ? 2 : 1;
  const options = [
    `proto_version '${version}'`,
    `publication_names ${quoteText(publications.map(quoteName).join(','))}`,
    ...(version >= 2 ? ["streaming 'on'"] : []),
  ];
  return `START_REPLICATION SLOT ${quoteName(slot)} LOGICAL ${formatLsn(after)} (${options.join(', ')})`;
}
