import { BatonError } from '@batondb/core/errors';
import { membersOf } from '../json-members.ts';
import type { Table } from '../table.ts';
import { verifyLimits } from './limits.ts';
import type { ColumnDifference } from './report.ts';

/**
 * Columns in which two rows differ; undefined when what the sink has is no row. A column that a row in the sink does not have is NULL, and one that the table does not have
 * does not count: a sink need not rewrite its rows when a column comes or goes.
 */
export function columnDifferences(
  { columns }: Table,
  expected: string,
  held: string,
): readonly ColumnDifference[] | undefined {
  const wanted = membersOf(expected);
  const found = tryMembersOf(held);
  if (found === undefined) return undefined;
  return columns.flatMap(({ name }) => {
    const [one, other] = [wanted.get(name) ?? 'null', found.get(name) ?? 'null'];
    return one === other ? [] : [{ column: name, expected: cut(one), found: cut(other) }];
  });
}

function tryMembersOf(text: string): ReadonlyMap<string, string> | undefined {
  try {
    return membersOf(text);
  } catch (error) {
    if (error instanceof BatonError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function cut(text: string): string {
  const { valueCharacters } = verifyLimits;
  return text.length <= valueCharacters ? text : `${text.slice(0, valueCharacters)}…`;
}
