// Rows below a prefix of etcd, read by etcdctl, against their source.
import { compareRows, type Difference } from './compare-rows.ts';
import type { EtcdCluster } from './etcd.ts';
import { canonicalText, type ExactJson, parseExactJson } from './exact-json.ts';
import type { ComparedRow, SourceDatabase, SourceTable } from './source-rows.ts';

/** What is in etcd under the keys of rows, by key. */
async function readRows(etcd: EtcdCluster, prefix: string): Promise<Map<string, string>> {
  const said = await etcd.ctl('--command-timeout=120s', 'get', '--prefix', `${prefix}/d/`, '--write-out=json');
  const { kvs = [] } = JSON.parse(said) as {
    readonly kvs?: readonly { readonly key: string; readonly value: string }[];
  };
  const decode = (base64: string): string => Buffer.from(base64, 'base64').toString();
  return new Map(kvs.map(({ key, value }) => [decode(key), decode(value)]));
}

/** `/`, `%`, spaces and control characters as `%XX`. */
function escapePart(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is escaped
  return text.replaceAll(/[/%\u0000-\u0020\u007f]/g, (found) => {
    return `%${found.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}

function tablePrefix(prefix: string, { schema, name }: SourceTable): string {
  return `${prefix}/d/${escapePart(schema)}/${escapePart(name)}`;
}

function keyOf(prefix: string, table: SourceTable, row: ComparedRow): string {
  return [tablePrefix(prefix, table), ...row.keyTexts.map(escapePart)].join('/');
}

/**
 * Compares every row, and that each is under its own key: `PREFIX/d/SCHEMA/TABLE/K1/K2`. Keys that no row of the source has are
 * differences as well. Nobody may write meanwhile.
 */
export async function compareWithEtcd(
  source: SourceDatabase,
  etcd: EtcdCluster,
  prefix: string,
  isWanted: (table: SourceTable) => boolean = () => true,
): Promise<Difference[]> {
  const left = await readRows(etcd, prefix);
  // Rows of tables that nobody asked about are as they are.
  const unasked = source.tables.filter((table) => !isWanted(table)).map((table) => `${tablePrefix(prefix, table)}/`);
  for (const key of left.keys()) if (unasked.some((start) => key.startsWith(start))) left.delete(key);
  const misplaced: Difference[] = [];
  const differences = await compareRows(
    source,
    async (table, sourceRows) => {
      const rows: ReadonlyMap<string, string>[] = [];
      for (const row of sourceRows) {
        const key = keyOf(prefix, table, row);
        const value = left.get(key);
        left.delete(key);
        if (value !== undefined) rows.push(columnsOf(value));
      }
      return rows;
    },
    isWanted,
  );
  for (const [key, value] of left) misplaced.push({ table: '(none)', key, source: undefined, sink: value });
  return [...differences, ...misplaced];
}

function columnsOf(value: string): ReadonlyMap<string, string> {
  const row = parseExactJson(value) as ReadonlyMap<string, ExactJson>;
  return new Map([...row].map(([name, member]) => [name, canonicalText(member)]));
}
