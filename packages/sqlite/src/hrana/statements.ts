import type { Statement, Step } from '../databases.ts';
import type { NamedValue } from '../engine/values.ts';
import { decodeCondition } from './conditions.ts';
import {
  asFields,
  at,
  type Fields,
  isAbsent,
  type Place,
  readFields,
  readInt32,
  readList,
  readOptionalFlag,
  readOptionalList,
  readOptionalText,
  readText,
  wrong,
} from './fields.ts';
import { limits } from './limits.ts';
import { decodeValue } from './values.ts';

// Statements and batches as clients send them: Hrana 3, "Statements" and "Batches". `replication_index`, which some clients
// send, is one of the fields that are not asked for.

/** Finds the text that a client has stored under a number. Throws PROTOCOL when there is none. */
export type FindSql = (sqlId: number) => string;

/** The SQL of a request: its text, or the number of one that was stored. Exactly one must be there. */
export function readSql(fields: Fields, place: Place | undefined, findSql: FindSql): string {
  const sql = readOptionalText(fields, 'sql', place, limits.sqlCharactersMax);
  if (isAbsent(fields['sql_id'])) {
    if (sql === undefined) throw wrong(at(place, 'sql'), 'there, or sql_id');
    return sql;
  }
  if (sql !== undefined) throw wrong(at(place, 'sql_id'), 'left out beside sql');
  return findSql(readInt32(fields, 'sql_id', place));
}

/** One statement. */
export function decodeStatement(fields: Fields, place: Place, findSql: FindSql): Statement {
  return {
    sql: readSql(fields, place, findSql),
    values: readOptionalList(fields, 'args', place, limits.valuesMax, decodeValue),
    namedValues: readOptionalList(fields, 'named_args', place, limits.valuesMax, decodeNamedValue),
    wantRows: readOptionalFlag(fields, 'want_rows', place, true),
  };
}

/** The steps of a batch. */
export function decodeBatch(fields: Fields, place: Place, findSql: FindSql): Step[] {
  let step = 0;
  return readList(fields, 'steps', place, limits.stepsMax, (member, memberPlace) => {
    const condition = isAbsent(member['condition'])
      ? undefined
      : decodeCondition(
          asFields(member['condition'], at(memberPlace, 'condition')),
          at(memberPlace, 'condition'),
          step,
        );
    step += 1;
    const statement = decodeStatement(readFields(member, 'stmt', memberPlace), at(memberPlace, 'stmt'), findSql);
    return { statement, condition };
  });
}

function decodeNamedValue(fields: Fields, place: Place): NamedValue {
  const name = readText(fields, 'name', place, limits.nameCharactersMax);
  return { name, value: decodeValue(readFields(fields, 'value', place), at(place, 'value')) };
}
