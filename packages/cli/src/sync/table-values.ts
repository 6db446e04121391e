import { parsePattern, parseTableName, type TablePattern } from '@batondb/sync/mapping/patterns';
import { collect, usage } from '../option-values.ts';

// Options whose values name tables: patterns, `TABLE=a,b`, `FROM=TO`.

/** A value that is collected: earlier ones and this one. */
type Collect<Value> = (text: string, earlier: readonly Value[]) => readonly Value[];

export const collectPattern: Collect<TablePattern> = (text, earlier) => [...earlier, parsePattern(text)];

/** `TABLE=a,b`: some columns of the tables that a pattern fits. */
export type TableColumns = { readonly table: TablePattern; readonly columns: readonly string[] };

export function collectColumns(name: string): Collect<TableColumns> {
  return (text, earlier) => {
    const [table, list] = splitPair(name, text, 'TABLE=COLUMN,COLUMN');
    const columns = splitOutsideQuotes(list, ',').map((column) => unquote(column.trim()));
    if (columns.includes('')) throw usage(`${name} names an empty column in '${text}'`);
    return [...earlier, { table: parsePattern(table), columns }];
  };
}

type Rename = { readonly from: ReturnType<typeof parseTableName>; readonly to: ReturnType<typeof parseTableName> };

export const collectRename: Collect<Rename> = (text, earlier) => {
  const [from, to] = splitPair('--rename', text, 'SCHEMA.TABLE=SCHEMA.TABLE');
  const source = parseTableName(from, 'public');
  return [...earlier, { from: source, to: parseTableName(to, source.schema) }];
};

/** `TABLE=SQL`: which rows of tables are published. */
export type TableFilter = { readonly table: TablePattern; readonly where: string };

export const collectFilter: Collect<TableFilter> = (text, earlier) => {
  const [table, where] = splitPair('--where', text, "TABLE=CONDITION, such as public.users='active'");
  return [...earlier, { table: parsePattern(table), where }];
};

/** `a,b`, or several times. */
export const collectNames: Collect<string> = (text, earlier) =>
  text.split(',').reduce((names, name) => {
    if (name.trim() === '') throw usage(`there is an empty name in '${text}'`);
    return collect(name.trim(), names);
  }, earlier);

function splitPair(name: string, text: string, form: string): readonly [string, string] {
  const [left = '', ...rest] = splitOutsideQuotes(text, '=');
  const right = rest.join('=');
  if (left.trim() === '' || right.trim() === '') throw usage(`${name} is ${form}, not '${text}'`);
  return [left.trim(), right.trim()];
}

/** A separator within double quotes belongs to a name. */
function splitOutsideQuotes(text: string, separator: string): readonly string[] {
  const parts = [''];
  let isQuoted = false;
  for (const character of text) {
    if (character === '"') isQuoted = !isQuoted;
    if (character === separator && !isQuoted) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

function unquote(name: string): string {
  return /^".*"$/s.test(name) ? name.slice(1, -1).replaceAll('""', '"') : name;
}
