// The list of checksums that a donor sends: a line of JSON for each table.
import { BatonError } from '@batondb/core/errors';

/** A table and what the server says of its content. */
export type TableChecksum = { readonly schema: string; readonly name: string; readonly checksum: string };

/** The line of a table; `answer` is the row of CHECKSUM TABLE, its fields parted by tabs. */
export function checksumLine(table: { readonly schema: string; readonly name: string }, answer: string): string {
  return JSON.stringify([table.schema, table.name, answer.split('\t').at(-1) ?? '']);
}

/** Throws PROTOCOL. */
export function parseChecksums(text: string): TableChecksum[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const words = parseLine(line);
      const [schema, name, checksum] = words;
      if (words.length !== 3 || schema === undefined || name === undefined || checksum === undefined) {
        throw new BatonError('PROTOCOL', `'${line.slice(0, 100)}' is not the checksum of a table`);
      }
      return { schema, name, checksum };
    });
}

function parseLine(line: string): string[] {
  try {
    const value: unknown = JSON.parse(line);
    if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  } catch {
    // Said below.
  }
  return [];
}
