import { jsonString } from './json-string.ts';
import type { Column, Row, Table } from './table.ts';

// Rows as JSON objects, the same in every sink that holds JSON.

/** `{"id":1,"name":"x"}`: columns in the table's order, without those that are not known. */
export type RowJson = (row: Row) => string;

const compiled = new WeakMap<Table, RowJson>();

/** One row as JSON. Who has many of a table asks {@link rowJsonOf} once. */
export function rowJson(table: Table, row: Row): string {
  return rowJsonOf(table)(row);
}

/** Tells rows of this table; made once a table. */
export function rowJsonOf(table: Table): RowJson {
  const known = compiled.get(table);
  if (known !== undefined) return known;
  const made = compile(table);
  compiled.set(table, made);
  return made;
}

/** `{"name":`, `,"name":` and `","name":`, with what a value begins with. The last one also ends the string before it. */
type Heads = { readonly first: string; readonly next: string; readonly afterString: string };

type Member = {
  readonly tell: (text: string) => string;
  readonly isString: boolean;
  readonly heads: Heads;
  /** With the value. */
  readonly nullHeads: Heads;
};

function memberOf({ name, codec }: Column): Member {
  const { json, quoted } = codec;
  const headsOf = (value: string): Heads => {
    const member = `${jsonString(name)}:${value}`;
    return { first: `{${member}`, next: `,${member}`, afterString: `",${member}` };
  };
  const isString = quoted !== undefined;
  return { tell: quoted ?? json, isString, heads: headsOf(isString ? '"' : ''), nullHeads: headsOf('null') };
}

function compile({ columns }: Table): RowJson {
  const members = columns.map(memberOf);
  return (row) => {
    let json = '';
    let isInString = false;
    for (let place = 0; place < members.length; place++) {
      const field = row[place];
      if (field === undefined) continue;
      const { tell, isString, heads: plainHeads, nullHeads } = members[place] as Member;
      const heads = field === null ? nullHeads : plainHeads;
      json += json === '' ? heads.first : isInString ? heads.afterString : heads.next;
      if (field !== null) json += tell(field);
      isInString = isString && field !== null;
    }
    if (json === '') return '{}';
    return isInString ? `${json}"}` : `${json}}`;
  };
}
