import { BatonError } from '@batondb/core/errors';
import { prefixEnd } from '@batondb/etcd';
import { nameOf, type Row, type TableName } from '../table.ts';
import { escapePart, unescapePart } from './key-parts.ts';

// Where things are in etcd. A layout gives every table a range of keys of its own, and every row one key in it that no other row has.

/** How a layout is chosen. A template is a path such as `/{schema}/{table}/{key}`, with columns as `{name}`. */
export type LayoutChoice = 'native' | 'contrail' | { readonly template: string };

/** A table as far as its keys are concerned. `key` has the names of its columns, in its order. */
export type KeyedTable = TableName & { readonly key: readonly string[] };

/** Where the rows of one table are. */
export type TablePlace = {
  /** Begins the keys of all rows of this table, and of nothing else. */
  readonly prefix: string;
  /** Of the fields of a row's key, in its order. */
  key(fields: Row): string;
  /** The fields again. Undefined: nobody wrote this key by this layout. */
  fields(key: string): Row | undefined;
};

export type Layout = {
  /** As it stands in `m/format`: two that differ in it are not to be mixed. */
  readonly name: string;
  /** Begins the keys of what the sink remembers. */
  readonly metaPrefix: string;
  /** Begins the keys of all rows. */
  readonly dataPrefix: string;
  /** All keys of both, and perhaps others between them. */
  readonly everything: { readonly key: string; readonly end: Uint8Array };
  /** Throws USAGE for a table whose rows it could not tell apart. */
  place(table: KeyedTable): TablePlace;
};

/** What Contrail's readers do not see: they look below the path. It sorts just before the path's slash. */
const asideSuffix = '.baton/';
const slashes = /\/+$/;

/** `prefix` ends with a slash. Throws USAGE. */
export function layoutOf(choice: LayoutChoice, prefix: string): Layout {
  if (choice === 'native') {
    const placed = templated('/{schema}/{table}/{key}', `${prefix}d`);
    const everything = { key: prefix, end: prefixEnd(prefix) };
    return { name: 'native', metaPrefix: `${prefix}m/`, dataPrefix: `${prefix}d/`, everything, place: placed };
  }
  const template = choice === 'contrail' ? '/{table}/{key}' : choice.template;
  const path = prefix.replace(slashes, '');
  const metaPrefix = `${path}${asideSuffix}`;
  return {
    name: choice === 'contrail' ? 'contrail' : `template ${template}`,
    metaPrefix,
    dataPrefix: prefix,
    everything: { key: metaPrefix, end: prefixEnd(prefix) },
    place: templated(template, path),
  };
}

/** Throws USAGE when the rows of two tables would be in one range: a template without the schema's name, and one name in two schemas. */
export function expectApart(layout: Layout, tables: readonly KeyedTable[]): void {
  const seen = new Map<string, TableName>();
  for (const table of tables) {
    const { prefix } = layout.place(table);
    const other = seen.get(prefix);
    if (other !== undefined && nameOf(other) !== nameOf(table)) {
      throw new BatonError('USAGE', `the rows of ${nameOf(other)} and ${nameOf(table)} would both be below ${prefix}`, {
        hint: 'give one of them another name (--rename), or choose a layout with the schema in its keys',
      });
    }
    seen.set(prefix, table);
  }
}

type Segment = { readonly literal: string } | { readonly placeholder: string };

function templated(template: string, path: string): (table: KeyedTable) => TablePlace {
  const segments = parseTemplate(template);
  return (table) => placeOf(path, segments, table, template);
}

/** Between two slashes there is either text or one placeholder, so that a key can be read in one way only. */
function parseTemplate(template: string): readonly Segment[] {
  const refuse = (why: string): never => {
    throw new BatonError('USAGE', `the key template ${JSON.stringify(template)} ${why}`, {
      hint: 'it looks like /{schema}/{table}/{key}, with nothing else between two slashes than a name in braces or text',
    });
  };
  if (!template.startsWith('/')) return refuse('does not begin with a slash');
  const segments = template
    .slice(1)
    .split('/')
    .map((text): Segment => {
      const placeholder = /^\{([^{}]+)\}$/.exec(text)?.[1];
      if (placeholder !== undefined) return { placeholder };
      if (text === '' || /[{}%\s]/.test(text)) return refuse(`has ${JSON.stringify(text)} between two slashes`);
      return { literal: text };
    });
  const names = segments.flatMap((segment) => ('placeholder' in segment ? [segment.placeholder] : []));
  if (new Set(names).size !== names.length) return refuse('has a name twice');
  if (!names.includes('table')) return refuse('has no {table}');
  const firstColumn = segments.findIndex((segment) => 'placeholder' in segment && !isOfTable(segment.placeholder));
  const lastOfTable = segments.findLastIndex((segment) => 'placeholder' in segment && isOfTable(segment.placeholder));
  if (firstColumn < 0) return refuse('has neither {key} nor a column: all rows of a table would have one key');
  if (lastOfTable > firstColumn) return refuse('has columns before its table: the rows of a table would lie apart');
  return segments;
}

function isOfTable(placeholder: string): boolean {
  return placeholder === 'schema' || placeholder === 'table';
}

function placeOf(path: string, segments: readonly Segment[], table: KeyedTable, template: string): TablePlace {
  const head: string[] = [];
  const tail: (string | number)[] = [];
  for (const segment of segments) {
    const isHead = tail.length === 0;
    if ('literal' in segment) (isHead ? head : tail).push(segment.literal);
    else if (segment.placeholder === 'schema') head.push(escapePart(table.schema));
    else if (segment.placeholder === 'table') head.push(escapePart(table.name));
    else if (segment.placeholder === 'key') tail.push(...table.key.keys());
    else tail.push(expectKeyColumn(table, segment.placeholder, template));
  }
  const missing = table.key.find((_, index) => !tail.includes(index));
  if (table.key.length === 0 || missing !== undefined) throw ambiguous(table, missing, template);
  const prefix = `${path}/${head.join('/')}/`;
  return {
    prefix,
    key: (fields) => {
      let key = prefix;
      for (let at = 0; at < tail.length; at++) {
        const part = tail[at]!;
        if (at > 0) key += '/';
        key += typeof part === 'number' ? escapePart(fields[part]) : part;
      }
      return key;
    },
    fields: (key) => fieldsOf(key, prefix, tail),
  };
}

function fieldsOf(key: string, prefix: string, tail: readonly (string | number)[]): Row | undefined {
  if (!key.startsWith(prefix)) return undefined;
  const parts = key.slice(prefix.length).split('/');
  if (parts.length !== tail.length) return undefined;
  const fields: (string | null)[] = [];
  for (const [at, part] of tail.entries()) {
    if (typeof part === 'number') fields[part] = unescapePart(parts[at]!);
    else if (part !== parts[at]) return undefined;
  }
  return fields;
}

function expectKeyColumn(table: KeyedTable, column: string, template: string): number {
  const index = table.key.indexOf(column);
  if (index >= 0) return index;
  throw new BatonError(
    'USAGE',
    `the key template ${template} has {${column}}, which is not in the key of ${nameOf(table)}`,
    {
      hint: `its key is ${table.key.join(', ')}: a column that changes while the key does not would leave the old entry behind`,
    },
  );
}

function ambiguous(table: KeyedTable, missing: string | undefined, template: string): BatonError {
  if (missing === undefined) {
    return new BatonError('USAGE', `${nameOf(table)} has no key, and etcd keeps a row by its key`, {
      hint: 'exclude the table (--exclude), declare what tells its rows apart (--key), or give it a primary key',
    });
  }
  return new BatonError('USAGE', `the key template ${template} leaves out ${missing} of the key of ${nameOf(table)}`, {
    hint: 'two rows could have one key in etcd; write {key}, or all columns of the key',
  });
}
