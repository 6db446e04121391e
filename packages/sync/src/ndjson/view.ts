import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { rowJson } from '../row-json.ts';
import type { HeldRow, SinkState, SinkView } from '../sink.ts';
import type { Position } from '../stream.ts';
import { keyOf, type Row, type Table, type TableName } from '../table.ts';
import { type FileCommit, lastCommit, readTables } from './file-commits.ts';
import { expectOurs } from './file-sink.ts';
import { FoldedRows } from './folded-rows.ts';

/**
 * Looks at a file of lines up to its last commit at which all tables are at one position. Throws NOT_FOUND, USAGE for a file of something else, and UNAVAILABLE while there is no
 * such commit.
 */
export async function openNdjsonView({
  path,
  source,
}: {
  readonly path: string;
  readonly source: string;
}): Promise<SinkView> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    await expectOurs(file, path, source, size);
    const commit = await lastCommit(file, size, ({ isOpen }) => !isOpen);
    if (commit === undefined) {
      throw new BatonError('UNAVAILABLE', `${path} has no commit yet at which its tables are at one position`, {
        retryable: true,
        hint: 'wait until its first dump has ended',
      });
    }
    const tables = await readTables(file, path, commit.state, commit.end);
    return new LinesView(file, path, commit, { position: commit.position, isOpen: false, tables });
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY);
  } catch (error) {
    throw toBatonError(error, { path });
  }
}

class LinesView implements SinkView {
  readonly state: SinkState & { readonly position: Position };
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #end: number;
  /** Once somebody asks for rows: the file may be looked at many times before it is read. */
  #folded: Promise<FoldedRows> | undefined;

  constructor(file: FileHandle, path: string, { end }: FileCommit, state: LinesView['state']) {
    this.#file = file;
    this.#path = path;
    this.#end = end;
    this.state = state;
  }

  expect(table: Table, row: Row): HeldRow {
    const value = rowJson(table, row);
    if (table.key.length === 0) return { key: value, value };
    const parts = keyOf(table, row).map((field, index) =>
      field === null || field === undefined ? 'null' : table.columns[table.key[index]!]!.codec.json(field),
    );
    return { key: `[${parts.join(',')}]`, value };
  }

  async *rows(table: TableName): AsyncGenerator<readonly HeldRow[], void, undefined> {
    this.#folded ??= this.#fold();
    const folded = await this.#folded;
    yield* folded.rows(table);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const folded = await this.#folded?.catch(() => undefined);
    folded?.[Symbol.dispose]();
    await this.#file.close();
  }

  async #fold(): Promise<FoldedRows> {
    const folded = new FoldedRows();
    try {
      for await (const line of this.#lines()) folded.take(line);
      return folded;
    } catch (error) {
      folded[Symbol.dispose]();
      throw error instanceof BatonError ? error : toBatonError(error, { path: this.#path });
    }
  }

  /** Up to the commit. A line ends with a line feed and nothing else: texts may have other characters that some take for an end. */
  async *#lines(): AsyncGenerator<string, void, undefined> {
    let rest: Buffer[] = [];
    const stream = this.#file.createReadStream({ start: 0, end: this.#end - 1, autoClose: false });
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
        yield Buffer.concat([...rest, chunk.subarray(from, end)]).toString('utf8');
        rest = [];
        from = end + 1;
      }
      if (from < chunk.length) rest.push(chunk.subarray(from));
    }
  }
}
