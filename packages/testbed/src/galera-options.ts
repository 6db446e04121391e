// The option file of a Galera node whose neighbours are on the same machine.

/** What a test says about a node's server and its transfers. */
export type GaleraNodeOptions = {
  /** Name of the State Snapshot Transfer method: `rsync`, `mariabackup`, or one whose `wsrep_sst_NAME` is in `path`. */
  readonly method: string;
  /** Who may take a backup (`wsrep_sst_auth`); the first node makes this user. Default: nobody. */
  readonly auth?: { readonly user: string; readonly password: string };
  /** Options of the server, such as `{ 'log-bin': 'binlog' }`; they win over those of the testbed. */
  readonly server?: Readonly<Record<string, string>>;
  /** Lines of the group `[sst]`. */
  readonly sst?: Readonly<Record<string, string>>;
  /** Provider options, such as `{ 'gcache.size': '1M' }`. */
  readonly provider?: Readonly<Record<string, string>>;
  /** Directories that the server looks for programs in before the system's own. */
  readonly path?: readonly string[];
  /** More of the server's environment. */
  readonly environment?: Readonly<Record<string, string>>;
};

/** Where a node is; every node has four ports of its own. */
export type GaleraPlace = {
  readonly name: string;
  /** Its directory, below the sandbox. */
  readonly path: string;
  /** An address of the loopback, `127.0.0.1` or `[::1]`. */
  readonly host: string;
  readonly ports: {
    readonly client: number;
    readonly group: number;
    readonly incremental: number;
    readonly transfer: number;
  };
  /** With the most weight, a node stays in the primary component when the rest of the cluster dies. */
  readonly weight: number;
  /** `host:port` of all nodes' group communication. */
  readonly members: readonly string[];
};

/** Little memory, small logs, and row events, which Galera asks for. */
const smallServer = {
  user: 'mysql',
  'skip-name-resolve': '1',
  'bind-address': '*',
  'innodb-buffer-pool-size': '32M',
  'innodb-log-file-size': '16M',
  'innodb-flush-log-at-trx-commit': '2',
  'innodb-fast-shutdown': '1',
  'innodb-autoinc-lock-mode': '2',
  'key-buffer-size': '1M',
  'aria-pagecache-buffer-size': '4M',
  'binlog-format': 'ROW',
  'default-storage-engine': 'InnoDB',
  'wsrep-on': 'ON',
  'wsrep-provider': '/usr/lib/galera/libgalera_smm.so',
  'wsrep-cluster-name': 'testbed',
} as const;

/** The text of a node's option file. */
export function formatOptionFile(place: GaleraPlace, options: GaleraNodeOptions): string {
  const { host, ports } = place;
  const provider = {
    'gmcast.listen_addr': `tcp://${host}:${ports.group}`,
    base_host: host,
    base_port: `${ports.group}`,
    'ist.recv_addr': `${host}:${ports.incremental}`,
    'ist.recv_bind': `${host}:${ports.incremental}`,
    // A node that comes back asks its neighbours for the primary component, never its own memory of it.
    'pc.recovery': 'no',
    'pc.weight': `${place.weight}`,
    'gcache.size': '32M',
    ...options.provider,
  };
  const { auth } = options;
  const server = {
    ...smallServer,
    datadir: `${place.path}/data`,
    tmpdir: `${place.path}/tmp`,
    socket: `${place.path}/s.sock`,
    'pid-file': `${place.path}/pid`,
    port: `${ports.client}`,
    'wsrep-node-name': place.name,
    'wsrep-node-address': `${host}:${ports.group}`,
    'wsrep-cluster-address': `gcomm://${place.members.join(',')}`,
    'wsrep-sst-receive-address': `${host}:${ports.transfer}`,
    'wsrep-sst-method': options.method,
    'wsrep-provider-options': `"${lines(provider).join(';')}"`,
    ...(auth === undefined ? {} : { 'wsrep-sst-auth': `${auth.user}:${auth.password}` }),
    ...options.server,
  };
  return ['[mysqld]', ...lines(server), '', '[sst]', ...lines(options.sst ?? {}), ''].join('\n');
}

function lines(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).map(([key, value]) => `${key}=${value}`);
}
