import type { CopyPlan } from '@batondb/copy';
import { type Endpoint, parseEndpoint, parseHost } from '@batondb/copy/endpoint';
import { type CopyInput, type CopyOptions, type CopyType, defaultOptions } from '@batondb/copy/options';
import { limits } from '@batondb/core/limits';
import { parseByteRate } from '@batondb/core/text/rate';
import { nearestName } from '@batondb/core/text/suggest';
import { Command, CommanderError, Option } from 'commander';
import {
  addBackupOptions,
  type BackupFlags,
  backupOf,
  dropOfOtherKind,
  isBackup,
  refuseBackupFlags,
} from './backup-options.ts';
import { addConfigOptions, addNegations, applyConfig, type ConfigReader, noConfig } from './config/apply.ts';
import { type ConfigRequest, makeConfig } from './config/command.ts';
import { addTransferpyOptions, withBareCompress } from './config/transferpy.ts';
import { copyExamples, defaultsHelp, exitCodeHelp, helpTopics, targetHelp, typeHelp } from './help.ts';
import { hostsByName, readPlan, readStdinPlan } from './operands.ts';
import * as values from './option-values.ts';
import { addServeCommand } from './sqlite/serve-command.ts';
import { makeVerify, type VerifyRequest } from './verify-command.ts';

// The grammar of the command line. Pure but for the lists of targets that operands name: nothing is started here.

/** How much is said, and in which form. */
export type View = { readonly form: 'human' | 'json'; readonly volume: 'quiet' | 'normal' | 'verbose' };

/** What a command line asks for. */
export type Request =
  | { readonly kind: 'copy'; readonly plan: CopyPlan; readonly options: CopyOptions; readonly view: View }
  | { readonly kind: 'clean'; readonly directory: Endpoint; readonly options: CopyOptions; readonly view: View }
  | VerifyRequest
  | ConfigRequest
  | { readonly kind: 'forget'; readonly hosts: readonly Host[]; readonly options: CopyOptions; readonly view: View }
  /** Help. `isAsked` false: it stands in for an error. */
  | { readonly kind: 'text'; readonly text: string; readonly isAsked: boolean };

type Host = ReturnType<typeof parseHost>;

/** Reads the words after `baton`, and the configuration files they leave room for. Throws USAGE and BAD_ENDPOINT. */
export function parseCommandLine(words: readonly string[], read: ConfigReader = noConfig): Request {
  let request: Request | undefined;
  let printed = '';
  const program = makeProgram(
    (made) => (request = made),
    (text) => (printed += text),
    read,
  );
  try {
    program.parse(withBareCompress(words, program.commands), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const isHelp = error.code === 'commander.helpDisplayed' || error.code === 'commander.help';
    if (!isHelp) throw usageError(error);
    request = { kind: 'text', text: printed, isAsked: error.exitCode === 0 };
  }
  if (request === undefined) throw values.usage('no command was given', 'see: baton --help');
  return request;
}

function usageError(error: CommanderError): Error {
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  return values.usage(message, suggestion?.replace(/^\((.*)\)$/, '$1').replace(/^D/, 'd') ?? 'see: baton copy --help');
}

function makeProgram(accept: (request: Request) => void, print: (text: string) => void, read: ConfigReader): Command {
  const program = new Command('baton')
    .description('Hands files and directory trees from the host that has them to the hosts that need them.')
    .option('-V, --version', 'print the version')
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: print, outputError: () => {} })
    // Beside long terms, too: by default what is narrower than 40 columns is not wrapped.
    .configureHelp({ minWidthToWrap: 30 })
    .enablePositionalOptions()
    .helpCommand(false);
  const copy = makeCopy(program.command('copy'), accept);
  makeClean(copy.command('clean'), accept);
  makeForget(copy.command('forget'), accept);
  const verify = program.command('verify');
  const readShared = (flags: RemoteFlags, endpoints: readonly Endpoint[]) => remoteOptions(flags, endpoints, verify);
  makeVerify(verify, { add: addRemoteOptions, read: readShared, view: viewOf }, accept);
  const serve = addServeCommand(new Command(), () => undefined);
  makeConfig(program.command('config'), { copy, sqlite: serve }, read, accept);
  program.hook('preAction', (_, command) => {
    if (command === copy || command === verify || command.parent === copy) applyConfig(command, copy, read);
    if (command === copy) dropOfOtherKind(copy);
  });
  program
    .command('help [topic]')
    .description(`more about a command or one of: ${Object.keys(helpTopics).join(', ')}`)
    .action((topic: string | undefined) => accept({ kind: 'text', text: helpText(program, topic), isAsked: true }));
  // Known here so that help shows it; the entry handles them before all this is loaded.
  program
    .command('sqlite')
    .description('keeps SQLite databases on a log, and serves them: baton sqlite --help')
    .usage('COMMAND …');
  program
    .command('sync')
    .description('keeps etcd, SQLite and others supplied from PostgreSQL: baton sync --help')
    .usage('[options]');
  program
    .command('galera')
    .description('gives Galera nodes their state, as wsrep_sst_method=baton: baton galera --help')
    .usage('COMMAND …');
  program.command('agent', { hidden: true }).description('the far side of a copy, on standard input and output');
  return program;
}

function helpText(program: Command, topic: string | undefined): string {
  if (topic === undefined) return program.helpInformation();
  const text = helpTopics[topic] ?? program.commands.find((command) => command.name() === topic)?.helpInformation();
  if (text !== undefined) return text;
  const near = nearestName(topic, [...Object.keys(helpTopics), 'copy', 'verify', 'config']);
  throw values.usage(
    `there is no help on '${topic}'`,
    near === undefined ? 'see: baton --help' : `did you mean ${near}?`,
  );
}

/** The options that all commands share: how the hosts are reached, and how much is said. */
function addRemoteOptions(command: Command): Command {
  return addConfigOptions(command)
    .addOption(sshOption())
    .addOption(
      new Option('--agent <path>', 'where baton is on the hosts; auto: where it is not, it brings itself along')
        .argParser(values.parseAgent)
        .default(defaultOptions.agent, 'auto'),
    )
    .option('--sudo', 'run the agent under sudo -n on every remote host')
    .addOption(
      new Option('--sudo-on <host>', 'run the agent under sudo -n on this host; repeatable')
        .argParser(values.collect)
        .default([], 'none'),
    )
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--json', 'events as one JSON object a line, all on standard output')
    .addOption(new Option('-q, --quiet', 'say nothing but what went wrong').conflicts(['verbose', 'json']))
    .option('-v, --verbose', 'say more');
}

function sshOption(): Option {
  return new Option('--ssh <command>', 'the remote shell, with arguments of its own')
    .argParser(values.parseSsh)
    .default(defaultOptions.ssh, 'ssh');
}

/** An option whose default is shown in the help as a word. */
function choice<const Choice extends string>(
  flags: string,
  what: string,
  choices: readonly Choice[],
  standard: NoInfer<Choice>,
): Option {
  const name = flags.split(' ')[0] ?? flags;
  return new Option(flags, `${what}: ${choices.join(', ')}`)
    .argParser(values.parseChoice(name, choices))
    .default(standard, standard);
}

function makeCopy(command: Command, accept: (request: Request) => void): Command {
  command
    .description('copies a file or a directory tree from one host to one or many, directly and verified')
    .usage('[options] SOURCE TARGET…')
    .argument('<source>', '[user@]host:path, [user@][2001:db8::1]:path, or a local path')
    .argument('[targets...]', '[user@]host:directory, a local directory, or @FILE: a list, one target a line')
    .helpCommand(false)
    .addOption(
      choice(
        '--type <what>',
        'what is copied, see below',
        ['file', 'decompress', 'mariadb', 'xtrabackup'],
        'file',
      ).conflicts(['stdin', 'exec']),
    )
    .addOption(
      new Option('--as <name>', 'name of the copy in the target directory (default: that of the source)').argParser(
        values.parseName,
      ),
    )
    .addOption(
      new Option('--stdin <name>', 'copy standard input; there is no SOURCE then, and NAME is that of the copy')
        .argParser(values.parseName)
        .conflicts(['as', 'exec', 'exclude', 'oneFileSystem']),
    )
    .addOption(
      new Option('--exec <command>', 'copy what a command prints, run by bash on the host of SOURCE, [host:]NAME')
        .argParser(values.parseCommand)
        .conflicts(['exclude', 'oneFileSystem']),
    )
    .addOption(
      new Option('--update', 'bring a copy that is there up to date: send what differs, then exchange it').conflicts([
        'stdin',
        'exec',
      ]),
    )
    .addOption(
      new Option('--exclude <pattern>', 'leave out what matches, as in .gitignore; repeatable')
        .argParser((text: string, earlier: readonly string[]) => values.collect(values.parsePattern(text), earlier))
        .default([], 'nothing'),
    )
    .option('--one-file-system', 'do not enter other file systems below the source')
    .addOption(
      choice(
        '--verify <how>',
        'digests on the way, or read both disks again afterwards',
        ['wire', 'disk'],
        defaultOptions.verify,
      ),
    )
    .addOption(
      new Option('--compress <how>', 'auto (chosen per unit), none, zstd or zstd:LEVEL')
        .argParser(values.parseCompression)
        .default(defaultOptions.compress, 'auto'),
    )
    .addOption(
      new Option('--bwlimit <rate>', 'per hop: 200MB, 200MiB, 800Mbit; bytes a second by default').argParser(
        parseByteRate,
      ),
    )
    .addOption(choice('--priority <how>', 'of CPU and disk on the hosts', ['low', 'normal'], defaultOptions.priority))
    .addOption(
      choice(
        '--topology <how>',
        'each host hands on to the next, or the source serves all',
        ['chain', 'star'],
        defaultOptions.topology,
      ),
    )
    .addOption(
      choice(
        '--order <how>',
        'of the chain: as given, or those that answer faster first',
        ['given', 'near'],
        defaultOptions.order,
      ),
    )
    .addOption(
      new Option('--streams <count>', 'connections per hop; 0: as many as the source has cores, at most 4')
        .argParser(values.parseWhole('--streams', 0, limits.streamsMax))
        .default(defaultOptions.streams),
    )
    .addOption(
      new Option('--port <port>', 'that targets listen on; 0: the first free of 4400 to 4500, without 4444')
        .argParser(values.parseWhole('--port', 0, 65_535))
        .default(defaultOptions.port),
    )
    .addOption(
      new Option('--bind <address>', 'address or network (CIDR) that targets listen on (default: all)').argParser(
        values.parseBind,
      ),
    );
  command.addOption(
    choice(
      '--firewall <which>',
      'that targets open for their senders while the copy runs',
      ['auto', 'nftables', 'iptables', 'none'],
      defaultOptions.firewall,
    ),
  );
  addTransferpyOptions(command);
  return addNegations(addRemoteOptions(addBackupOptions(command)))
    .addHelpText('after', `\n${typeHelp}\n\n${targetHelp}\n\n${copyExamples}\n\n${defaultsHelp}\n${exitCodeHelp}`)
    .action((first: string, others: string[], options: CopyFlags) => {
      const { stdin } = options;
      const plan = stdin === undefined ? readPlan(first, others, options.as) : readStdinPlan(stdin, [first, ...others]);
      const copyOptions = {
        ...remoteOptions(options, [plan.source, ...plan.targets], command),
        ...transferOptions(options),
        input: inputOf(options),
      };
      accept({ kind: 'copy', plan, options: copyOptions, view: viewOf(options) });
    });
}

function inputOf(flags: CopyFlags): CopyInput {
  const { stdin, exec, type } = flags;
  if (isBackup(type)) {
    if (flags.as !== undefined || flags.exclude.length > 0 || flags.oneFileSystem) {
      throw values.usage('a backup has no --as, --exclude and --one-file-system', 'it fills an empty target directory');
    }
    return backupOf(flags);
  }
  refuseBackupFlags(flags);
  if (stdin !== undefined) return { kind: 'stdin' };
  return exec === undefined ? { kind: 'tree' } : { kind: 'command', command: exec };
}

function makeClean(command: Command, accept: (request: Request) => void): void {
  command
    .description('removes what abandoned copies left in a target directory (a source named clean is written ./clean)')
    .usage('[options] [HOST:]DIR')
    .argument('<directory>', 'the target directory of the abandoned copies');
  addNegations(addRemoteOptions(command)).action((directory: string, options: RemoteFlags) => {
    const endpoint = parseEndpoint(directory);
    const cleanOptions = remoteOptions(options, [endpoint], command);
    accept({ kind: 'clean', directory: endpoint, options: cleanOptions, view: viewOf(options) });
  });
}

function makeForget(command: Command, accept: (request: Request) => void): void {
  addConfigOptions(command)
    .description('removes the batons that were carried to hosts (a source named forget is written ./forget)')
    .usage('[options] [USER@]HOST…')
    .argument('<hosts...>', 'where nothing of baton is to be left')
    .addOption(sshOption())
    .option('--json', 'what was removed as one JSON object a host')
    .option('-q, --quiet', 'say nothing but what went wrong')
    .action((hosts: string[], flags: RemoteFlags) => {
      const options = { ...defaultOptions, ssh: flags.ssh };
      accept({ kind: 'forget', hosts: hosts.map(parseHost), options, view: viewOf(flags) });
    });
}

type RemoteFlags = Pick<CopyOptions, 'ssh' | 'agent'> & {
  readonly sudo?: true;
  readonly sudoOn: readonly string[];
  readonly dryRun?: true;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
};

type CopyFlags = RemoteFlags &
  BackupFlags &
  Pick<
    CopyOptions,
    'as' | 'exclude' | 'priority' | 'topology' | 'order' | 'streams' | 'compress' | 'verify' | 'port' | 'firewall'
  > & {
    readonly stdin?: string;
    readonly exec?: string;
    readonly type: 'file' | 'decompress' | 'mariadb' | 'xtrabackup';
    readonly update?: true;
    readonly oneFileSystem?: true;
    readonly bind?: string;
    readonly bwlimit?: number;
  };

function viewOf(flags: RemoteFlags): View {
  return { form: flags.json ? 'json' : 'human', volume: flags.quiet ? 'quiet' : flags.verbose ? 'verbose' : 'normal' };
}

function remoteOptions(flags: RemoteFlags, endpoints: readonly Endpoint[], command: Command): CopyOptions {
  const { ssh, agent } = flags;
  const known = hostsByName(endpoints);
  // A configuration file lists hosts of other copies, too.
  const isDefault = command.getOptionValueSource('sudoOn') === 'config';
  const sudoOn = readSudoHosts(isDefault ? flags.sudoOn.filter((name) => known.has(name)) : flags.sudoOn, known);
  return { ...defaultOptions, ssh, agent, sudo: flags.sudo ? 'all' : sudoOn, dryRun: flags.dryRun ?? false };
}

/** The hosts of `--sudo-on`, as endpoints name them. One that is in no endpoint is a typo. */
function readSudoHosts(names: readonly string[], known: ReadonlyMap<string, string>): string[] {
  return names.map((name) => {
    const host = known.get(name);
    if (host !== undefined) return host;
    const near = nearestName(name, known.keys()) ?? [...known.keys()][0];
    const hint =
      near === undefined ? 'every path of this copy is local; run baton itself under sudo' : `did you mean ${near}?`;
    throw values.usage(`--sudo-on ${name}: no such host in this copy`, hint);
  });
}

function typeOf({ type, update }: CopyFlags): CopyType {
  if (update === undefined) return type === 'decompress' ? type : 'file';
  if (type !== 'file') {
    throw values.usage(
      `--update cannot be combined with --type ${type}`,
      'it brings copies of files and trees up to date',
    );
  }
  return 'update';
}

function transferOptions(flags: CopyFlags): Partial<CopyOptions> {
  const { exclude, priority, topology, order, streams, compress, verify, port, bind, firewall } = flags;
  return {
    ...(flags.as === undefined ? {} : { as: flags.as }),
    oneFileSystem: flags.oneFileSystem ?? false,
    bandwidthBytesPerSecond: flags.bwlimit,
    type: typeOf(flags),
    ...{ exclude, priority, topology, order, streams, compress, verify, port, bind, firewall },
  };
}
