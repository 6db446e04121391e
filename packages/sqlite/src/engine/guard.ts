import { actions, authorizations } from './codes.ts';

// What a client's SQL may not do: reach other files, weaken what makes transactions last, or write past the rules of the file format.

/** Pragmas that only tell something. */
const telling = new Set(
  (
    'application_id auto_vacuum collation_list compile_options data_version database_list encoding foreign_key_check ' +
    'foreign_key_list foreign_keys freelist_count function_list index_info index_list index_xinfo integrity_check journal_mode ' +
    'max_page_count module_list page_count page_size pragma_list quick_check schema_version synchronous table_info table_list ' +
    'table_xinfo user_version'
  ).split(' '),
);

/** Pragmas that take an argument which says of what they tell. */
const asking = new Set(
  'foreign_key_check foreign_key_list index_info index_list index_xinfo integrity_check quick_check table_info table_list table_xinfo'.split(
    ' ',
  ),
);

/** Pragmas that change the database, as a statement does. */
const changing = new Set('application_id incremental_vacuum optimize user_version'.split(' '));

/** Pragmas that change the connection: only for who has one of their own. */
const ofConnection = new Set(
  (
    'analysis_limit automatic_index cache_size case_sensitive_like cell_size_check defer_foreign_keys foreign_keys ' +
    'ignore_check_constraints recursive_triggers reverse_unordered_selects'
  ).split(' '),
);

/** What was refused, as a sentence, or undefined. */
export type Refusal = string | undefined;

/** Why an action is refused. `isOwn`: the connection belongs to one client. Called while a client's statement is prepared. */
export function refusalOf(action: number, first: string, second: string, isOwn: boolean): Refusal {
  switch (action) {
    case actions.ATTACH:
    case actions.DETACH:
      return 'ATTACH and DETACH are not possible: every database is replicated by itself; connect to each';
    case actions.FUNCTION:
      return second.toLowerCase() === 'load_extension' ? 'load_extension is not possible' : undefined;
    case actions.PRAGMA:
      return refusalOfPragma(first.toLowerCase(), second, isOwn);
    default:
      return undefined;
  }
}

/** Why what a statement runs by itself is refused: VACUUM attaches a file without a name, VACUUM INTO one that has a name. */
export function refusalOfNested(action: number, first: string): Refusal {
  if (action !== actions.ATTACH || first === '') return undefined;
  return 'VACUUM INTO is not possible: it would write a file of the server; back the database up instead';
}

function refusalOfPragma(name: string, argument: string, isOwn: boolean): Refusal {
  if (argument === '' && (telling.has(name) || changing.has(name))) return undefined;
  if (asking.has(name) || changing.has(name)) return undefined;
  if (!ofConnection.has(name)) {
    return telling.has(name) ? `PRAGMA ${name} can be read here, and not set` : `PRAGMA ${name} is not possible here`;
  }
  return isOwn || argument === '' ? undefined : `PRAGMA ${name} is of one connection: set it in a session`;
}

/** The authorizer's answer for a refusal. */
export function authorizationOf(refusal: Refusal): number {
  return refusal === undefined ? authorizations.OK : authorizations.DENY;
}
