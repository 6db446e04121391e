import { after, before } from 'node:test';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { EtcdBed } from './etcd-bed.ts';
import { describeSink } from './sink-conformance.ts';
import { type Contents, rowText } from './sink-model.ts';

let sandbox: Sandbox;
let etcd: EtcdCluster;
before(async () => {
  sandbox = makeSandbox();
  etcd = await startEtcd(sandbox);
});
after(async () => {
  await etcd[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

type Pair = { readonly key: string; readonly value: string; readonly mod_revision: number };

describeSink({
  name: 'etcd',
  comparesRows: true,
  manyRows: 2_500,
  hasOneOwner: true,
  knowsRows: true,
  keepsUnkeyed: false,
  followsRenames: false,
  rounds: 2,
  place: () => {
    const bed = new EtcdBed(etcd.endpoints);
    return Promise.resolve({
      sink: () => bed.sink(),
      contents: () => readPrefix(bed.prefix),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
});

/** What a reader finds who follows the rule of the layout, by etcdctl. */
async function readPrefix(prefix: string): Promise<Contents> {
  const read = async (key: string, ...more: readonly string[]): Promise<readonly Pair[]> => {
    const printed = await etcd.ctl('get', key, '--write-out=json', ...more);
    const { kvs = [] } = JSON.parse(printed) as { readonly kvs?: readonly Pair[] };
    return kvs.map((pair) => ({ ...pair, key: textOf(pair.key), value: textOf(pair.value) }));
  };
  const [pos] = await read(`${prefix}/m/pos`);
  const place = JSON.parse(pos!.value) as { readonly open: boolean; readonly closedRevision?: number };
  const at = `--rev=${place.open ? place.closedRevision : pos!.mod_revision}`;
  const contents = new Map<string, readonly string[]>();
  for (const { value } of await read(`${prefix}/m/tables/`, '--prefix', at)) {
    const table = JSON.parse(value) as {
      readonly schema: string;
      readonly name: string;
      readonly columns: readonly { readonly name: string }[];
    };
    const rows = await read(`${prefix}/d/${escaped(table.schema)}/${escaped(table.name)}/`, '--prefix', at);
    const texts = rows.map((row) => {
      const fields = JSON.parse(row.value) as Readonly<Record<string, string | number | null | undefined>>;
      return rowText(table)(
        table.columns.map(({ name }) =>
          fields[name] === null || fields[name] === undefined ? null : String(fields[name]),
        ),
      );
    });
    contents.set(`${table.schema}.${table.name}`, texts.toSorted());
  }
  return new Map([...contents].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function textOf(base64: string): string {
  return Buffer.from(base64, 'base64').toString();
}

function escaped(part: string): string {
  return part.replace(/[/%\0-\x20\x7f]/g, (character) => `%${Buffer.from(character).toString('hex').toUpperCase()}`);
}
