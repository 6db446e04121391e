import type { Statement, Step } from '../databases.ts';
import { at, type Fields, type Place, readFields, readInt32, readText } from './fields.ts';
import { limits } from './limits.ts';
import { decodeBatch, decodeStatement, type FindSql, readSql } from './statements.ts';
import type { HranaVersion } from './versions.ts';

// What can be asked of a stream, over HTTP and over WebSocket alike: Hrana 3, "Requests".

/** A request that a session answers. */
export type SessionRequest =
  | { readonly type: 'execute'; readonly statement: Statement }
  | { readonly type: 'batch'; readonly steps: readonly Step[] }
  | { readonly type: 'sequence'; readonly sql: string }
  | { readonly type: 'describe'; readonly sql: string }
  | { readonly type: 'get_autocommit' };

/** A request about the texts that a client stores. */
export type SqlRequest =
  | { readonly type: 'store_sql'; readonly sqlId: number; readonly sql: string }
  | { readonly type: 'close_sql'; readonly sqlId: number };

/** A request that both ways have; undefined for a type that is not among them in this version of the protocol. */
export function decodeStreamRequest(
  fields: Fields,
  place: Place,
  version: HranaVersion,
  findSql: FindSql,
): SessionRequest | SqlRequest | undefined {
  switch (fields['type']) {
    case 'execute':
      return {
        type: 'execute',
        statement: decodeStatement(readFields(fields, 'stmt', place), at(place, 'stmt'), findSql),
      };
    case 'batch':
      return { type: 'batch', steps: decodeBatch(readFields(fields, 'batch', place), at(place, 'batch'), findSql) };
    case 'sequence':
      return { type: 'sequence', sql: readSql(fields, place, findSql) };
    case 'describe':
      return { type: 'describe', sql: readSql(fields, place, findSql) };
    case 'get_autocommit':
      return version >= 3 ? { type: 'get_autocommit' } : undefined;
    case 'store_sql': {
      const sql = readText(fields, 'sql', place, limits.sqlCharactersMax);
      return { type: 'store_sql', sqlId: readInt32(fields, 'sql_id', place), sql };
    }
    case 'close_sql':
      return { type: 'close_sql', sqlId: readInt32(fields, 'sql_id', place) };
    default:
      return undefined;
  }
}
