import { BatonError } from '@batondb/core/errors';
import type { TableName } from '../table.ts';

// Names of tables as people write them in options: `schema.table`, with `*` for any characters, and a name alone for one of any schema.

export type TablePattern = { readonly text: string; readonly matches: (name: TableName) => boolean };

/** Reads a pattern. A part in double quotes may have dots; `*` means itself there, and a double quote is written twice. Throws USAGE. */
export function parsePattern(text: string): TablePattern {
  const parts = splitParts(text);
  if (parts.length === 1) {
    const table = toRegExp(parts[0]!);
    return { text, matches: ({ name }) => table.test(name) };
  }
  const [schema, table] = parts.map(toRegExp) as [RegExp, RegExp];
  return { text, matches: (name) => schema.test(name.schema) && table.test(name.name) };
}

/** Reads the name of one table. Throws USAGE. */
export function parseTableName(text: string, defaultSchema: string): TableName {
  const parts = splitParts(text).map(({ text: part, isQuoted }) => {
    if (!isQuoted && part.includes('*')) throw wrong(text, 'one table is meant here, without *');
    return part;
  });
  return parts.length === 1 ? { schema: defaultSchema, name: parts[0]! } : { schema: parts[0]!, name: parts[1]! };
}

type Part = { readonly text: string; readonly isQuoted: boolean };

function splitParts(text: string): readonly Part[] {
  const pattern = /(?:"((?:[^"]|"")+)"|([^".]+))(\.|$)/y;
  const parts: Part[] = [];
  let separator = '.';
  while (separator === '.') {
    const [whole, quoted, plain, next] = pattern.exec(text) ?? [];
    if (whole === undefined) throw wrong(text, 'write SCHEMA.TABLE, and names with dots in double quotes');
    parts.push(
      quoted === undefined ? { text: plain!, isQuoted: false } : { text: quoted.replaceAll('""', '"'), isQuoted: true },
    );
    separator = next!;
  }
  if (parts.length > 2) throw wrong(text, 'write SCHEMA.TABLE, and names with dots in double quotes');
  return parts;
}

function toRegExp({ text, isQuoted }: Part): RegExp {
  const literal = (part: string): string => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const source = isQuoted ? literal(text) : text.split('*').map(literal).join('.*');
  return new RegExp(`^${source}$`, 's');
}

function wrong(text: string, hint: string): BatonError {
  return new BatonError('USAGE', `${JSON.stringify(text)} is no name of a table`, { hint });
}
