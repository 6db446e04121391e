// Whether nodes have the same databases, found out by the server's own checksums and by mariadb-dump, row by row.
import type { GaleraNode } from './galera-node.ts';
import { linesOf } from './processes.ts';

const systemSchemas = "('information_schema', 'performance_schema', 'sys')";
const listTables = `SELECT table_schema, table_name FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ${systemSchemas}
  AND (table_schema <> 'mysql' OR table_name IN ('db', 'event', 'global_priv', 'proc', 'tables_priv'))
  ORDER BY BINARY table_schema, BINARY table_name`;

/**
 * Compares all tables of the second node with those of the first: definitions, checksums, and rows in the order of their keys; then
 * views, routines, triggers and events. Nobody may write meanwhile. Returns a line per difference, at most one a table; none when they are equal.
 */
export async function compareNodes(a: GaleraNode, b: GaleraNode): Promise<string[]> {
  const tables = await Promise.all([tablesOf(a), tablesOf(b)]);
  const differences: string[] = [];
  for (const table of new Set(tables.flat())) {
    const [schema = '', name = ''] = table.split('\t');
    const title = `${schema}.${name}`;
    const missing = [a, b].find((_, index) => tables[index]?.includes(table) === false);
    if (missing !== undefined) {
      differences.push(`${title}: ${missing.name} does not have it`);
      continue;
    }
    const found = await compareTable(a, b, schema, name);
    if (found !== undefined) differences.push(`${title}: ${found}`);
  }
  const schemas = new Set(tables.flat().map((table) => table.split('\t')[0] ?? ''));
  for (const schema of schemas) {
    const argv = ['--no-data', '--no-create-info', '--routines', '--events', '--triggers', '--', schema];
    const found = await firstDifference(a, b, argv);
    if (found !== undefined) differences.push(`${schema}: ${found}`);
  }
  return differences;
}

async function tablesOf(node: GaleraNode): Promise<string[]> {
  return (await node.sql(listTables)).map((fields) => fields.join('\t'));
}

async function compareTable(a: GaleraNode, b: GaleraNode, schema: string, name: string): Promise<string | undefined> {
  const checksum = async (node: GaleraNode): Promise<string> => {
    const [[, sum = ''] = []] = await node.sql(`CHECKSUM TABLE ${quote(schema)}.${quote(name)} EXTENDED`);
    return sum;
  };
  const found = await firstDifference(a, b, ['--order-by-primary', '--skip-triggers', '--', schema, name]);
  if (found !== undefined) return found;
  const [sumA, sumB] = await Promise.all([checksum(a), checksum(b)]);
  return sumA === sumB ? undefined : `${a.name} has the checksum ${sumA}, and ${b.name} ${sumB}`;
}

/** The first line in which two dumps differ. */
async function firstDifference(a: GaleraNode, b: GaleraNode, argv: readonly string[]): Promise<string | undefined> {
  const [linesA, linesB] = [dumpLines(a, argv), dumpLines(b, argv)];
  try {
    for (;;) {
      const [lineA, lineB] = await Promise.all([linesA.next(), linesB.next()]);
      const [textA, textB] = [lineA, lineB].map(({ done, value }) => (done === true ? undefined : value));
      if (textA !== textB) return `${a.name} has ${shown(textA)}, and ${b.name} ${shown(textB)}`;
      if (textA === undefined) return undefined;
    }
  } finally {
    await Promise.all([linesA.return(undefined), linesB.return(undefined)]);
  }
}

async function* dumpLines(node: GaleraNode, argv: readonly string[]): AsyncGenerator<string> {
  const options = ['--no-defaults', `--socket=${node.socketPath}`, '--compact', '--skip-extended-insert', '--hex-blob'];
  // The next number of a column is each node's own: they take turns.
  for await (const line of linesOf(['mariadb-dump', ...options, ...argv]))
    yield line.replace(/ AUTO_INCREMENT=\d+/, '');
}

function shown(line: string | undefined): string {
  return line === undefined ? 'nothing' : line.slice(0, 500);
}

function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
