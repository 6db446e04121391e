import type { DatabaseFile, DatabaseListing, FileBackup, ImportFile, Operations } from '../databases.ts';
import { formatPosition, type Position } from '../machine/position.ts';
import type { NodeSnapshot } from '../snapshot/snapshot.ts';
import type { DatabaseInfo, NodeStatus } from './request.ts';

/** What operations are done on. */
export type OperationsPlace = {
  readonly incoming: string;
  readonly status: () => Promise<NodeStatus>;
  readonly createDatabase: (name: string) => Promise<DatabaseInfo>;
  readonly dropDatabase: (name: string) => Promise<Position>;
  readonly importFile: (path: string, name: string, options: ImportFile) => Promise<Position>;
  readonly snapshot: () => Promise<NodeSnapshot>;
  readonly backup: () => Promise<FileBackup>;
};

/** Bytes of a file that are read at a time. */
const partBytes = 1_048_576;

/** A node's databases as a server's operators ask for them. */
export class NodeOperations implements Operations {
  readonly incoming: string;
  readonly #place: OperationsPlace;

  constructor(place: OperationsPlace) {
    this.incoming = place.incoming;
    this.#place = place;
  }

  async list(): Promise<readonly DatabaseListing[]> {
    const { databases } = await this.#place.status();
    return databases.map(({ name, pageBytes, pageCount }) => ({ name, bytes: pageBytes * pageCount }));
  }

  async create(name: string): Promise<boolean> {
    const { databases } = await this.#place.status();
    await this.#place.createDatabase(name);
    return databases.every((database) => database.name !== name);
  }

  async drop(name: string): Promise<string> {
    return formatPosition(await this.#place.dropDatabase(name));
  }

  async importFile(path: string, name: string, options: ImportFile): Promise<string> {
    return formatPosition(await this.#place.importFile(path, name, options));
  }

  async backup(): Promise<FileBackup> {
    return await this.#place.backup();
  }

  async openFile(name: string): Promise<DatabaseFile> {
    const snapshot = await this.#place.snapshot();
    try {
      // Read twice, so that its digest goes before it: what is read is in memory the second time, as a rule.
      const { bytes, blake3 } = await snapshot.digest(name);
      return {
        ...{ bytes, blake3, position: formatPosition(snapshot.position) },
        async *content() {
          for (let offset = 0; offset < bytes; offset += partBytes)
            yield await snapshot.part(name, offset, Math.min(partBytes, bytes - offset));
        },
        [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
      };
    } catch (error) {
      await snapshot[Symbol.asyncDispose]();
      throw error;
    }
  }
}
