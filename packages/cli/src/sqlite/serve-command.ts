import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import * as values from '../option-values.ts';
import { addListenOptions, checkListenFlags, type ListenFlags } from '../service/listen-options.ts';
import { type LogLevel, logLevels } from '../service/log-level.ts';
import type { Accept } from '../service/subcommands.ts';
import { addEtcdLogOptions, checkEtcdLogFlags, type EtcdLogFlags } from './etcd-log.ts';
import { serveExamples } from './help.ts';
import { defaultDirectory } from './places.ts';

// The grammar of `baton sqlite serve`.

/** What the options of `serve` are read into; what is not there has the library's default. */
export type ServeFlags = EtcdLogFlags &
  ListenFlags & {
    readonly allowOrigin: readonly string[];
    readonly follow?: string;
    readonly followTokenFile?: string;
    readonly followCa?: string;
    readonly promote?: true;
    readonly maxLag?: number;
    readonly retain?: number;
    readonly backupTo?: string;
    readonly every: number;
    readonly keep: number;
    readonly readers?: number;
    readonly cache?: number;
    readonly transactionLimit?: number;
    readonly statementLimit?: number;
    readonly idleLimit?: number;
    readonly stopLimit?: number;
    readonly adopt: readonly string[];
    readonly json?: true;
    readonly logLevel: LogLevel;
  };

const hourMs = 3_600_000;
const duration = (flags: string, what: string): Option =>
  new Option(`${flags} <duration>`, what).argParser(values.parseDuration(flags));

export function addServeCommand(program: Command, accept: Accept): Command {
  const command = program
    .command('serve')
    .description('serves every database in a directory')
    .usage('[options] [DIR]')
    .argument('[directory]', 'where the databases lie');
  addListenOptions(command, {
    listen: 'HOST:PORT or unix:PATH (default: 127.0.0.1:6480)',
    tokens: 'the list of tokens (default: DIR/.baton/tokens)',
    everything: 'do everything',
  });
  command
    .addOption(
      new Option('--allow-origin <origin>', 'web pages of https://… may use this server; repeatable')
        .argParser(values.collect)
        .default([], 'none'),
    )
    .option('--follow <url>', 'be a replica of the server there: ws://HOST:PORT or wss://HOST:PORT')
    .option(
      '--follow-token-file <file>',
      'a file with a token of that server: rights join, and write to forward writes',
    )
    .option('--follow-ca <file>', 'the authority that signed the certificate of that server, PEM')
    .addOption(
      new Option('--promote', 'a replica leads from what it has: it follows nobody any more').conflicts('follow'),
    )
    .addOption(duration('--max-lag', 'a replica that may be further behind is not read (default: no limit)'))
    .addOption(
      new Option('--retain <size>', 'log that is kept for replicas that were away (default: 64MiB)').argParser(
        values.parseMemory('--retain'),
      ),
    )
    .option('--backup-to <directory>', 'make verified backups there; a new DIR begins with the newest one')
    .addOption(duration('--every', 'how often').default(hourMs, '1h'))
    .addOption(
      new Option('--keep <count>', 'how many backups stay')
        .argParser(values.parseWhole('--keep', 1, 10_000))
        .default(24),
    )
    .addOption(
      new Option('--readers <count>', 'threads that read (default: 2)').argParser(
        values.parseWhole('--readers', 1, 64),
      ),
    )
    .addOption(
      new Option('--cache <size>', 'memory of one connection for pages (default: 16MiB)').argParser(
        values.parseMemory('--cache'),
      ),
    )
    .addOption(duration('--transaction-limit', 'an open transaction is rolled back after it (default: 30s)'))
    .addOption(duration('--statement-limit', 'a statement is interrupted after it (default: 1min)'))
    .addOption(duration('--idle-limit', 'a stream over HTTP that nobody uses is closed after it (default: 1min)'))
    .addOption(duration('--stop-limit', 'time for transactions to end when the server stops (default: 10s)'))
    .addOption(
      new Option('--adopt <name>', 'go on from what this database is, though its file was changed; repeatable')
        .argParser(values.collect)
        .default([], 'none'),
    )
    .option('--json', 'all that is said as one JSON object a line')
    .addOption(
      new Option('--log-level <level>', `how much is said: ${logLevels.join(', ')}`)
        .argParser(values.parseChoice('--log-level', logLevels))
        .default('info', 'info'),
    )
    .addHelpText('after', `\n${serveExamples}`)
    .action((directory: string | undefined, flags: ServeFlags) => {
      checkListenFlags(flags);
      const ofReplicas = [flags.followTokenFile, flags.followCa, flags.maxLag].some((value) => value !== undefined);
      if (flags.follow === undefined && ofReplicas)
        throw values.usage('--follow-token-file, --follow-ca and --max-lag are for replicas', 'say --follow URL');
      checkEtcdLogFlags(flags);
      accept(async (context) => {
        const { runServe } = await import('./serve.ts');
        const path = resolve(directory ?? defaultDirectory(context.environment, context.userId));
        return await runServe(path, flags, context);
      });
    });
  return addEtcdLogOptions(command);
}
