// What the bench compares: State Snapshot Transfer methods as a server calls them, and the bound, which is no transfer at all.

/** A method that both nodes are configured for. */
export type Method = {
  readonly name: string;
  readonly title: string;
  /** `wsrep_sst_method`; undefined: the bound. */
  readonly sstMethod: string | undefined;
  /** Lines of `[sst]` on both nodes. */
  readonly sst: Readonly<Record<string, string>>;
  readonly needs: readonly string[];
  /** Of its time, what its donor sleeps by its own script's word. Seconds. */
  readonly sleepSeconds: number;
};

/** `sleep 10` in front of the backup, in wsrep_sst_mariabackup; without it, its joiner may not listen yet. */
const mariabackupSleepSeconds = 10;
const tools = ['mariadb-backup', 'mbstream'];

export const methods: readonly Method[] = [
  baton('baton', 'baton, method=backup', {}),
  baton('baton-plain', 'baton, method=backup, compression=none', { compression: 'none' }),
  baton('baton-files', 'baton, method=files', { method: 'files' }),
  peer('mariabackup', 'mariabackup', [...tools, 'socat'], mariabackupSleepSeconds),
  peer('rsync', 'rsync', ['rsync'], 0),
  {
    name: 'bound',
    title: 'mariadb-backup, mbstream, --prepare: no network, no server',
    sstMethod: undefined,
    sst: {},
    needs: tools,
    sleepSeconds: 0,
  },
];

function baton(name: string, title: string, sst: Readonly<Record<string, string>>): Method {
  return { name, title, sstMethod: 'baton', sst, needs: tools, sleepSeconds: 0 };
}

function peer(sstMethod: string, title: string, needs: readonly string[], sleepSeconds: number): Method {
  return { name: sstMethod, title, sstMethod, sst: {}, needs, sleepSeconds };
}

/** One run of a method. */
export type Sample = {
  readonly round: number;
  readonly method: string;
  /** From the start of the joiner's server until it is Synced; of the bound, until its backup is prepared. */
  readonly seconds: number;
  /** Of them, those in which the joiner's script was at work; the others are its server's. */
  readonly scriptSeconds: number;
  /** The longest time that a writer on the donor waited for a commit. */
  readonly stallSeconds: number;
  /** User and system, of all that the servers have started on both nodes, without the servers; undefined where no control group can be made. */
  readonly cpuSeconds: number | undefined;
  /** The most memory that all that a server has started had at a time, shared pages counted in part (PSS). Bytes. */
  readonly memoryBytes: { readonly donor: number; readonly joiner: number };
  /** What a sync of the joiner's file system took afterwards: what the method had left to write. */
  readonly syncSeconds: number;
};
