import { type Command, Option } from 'commander';
import * as values from '../option-values.ts';
import { hasEtcdFlags } from '../service/etcd-options.ts';
import { addListenOptions, checkListenFlags, type ListenFlags } from '../service/listen-options.ts';
import { type LogLevel, logLevels } from '../service/log-level.ts';
import type { Accept } from '../service/subcommands.ts';
import { runExamples } from './help.ts';
import {
  addChoiceOptions,
  addSinkOptions,
  addSourceOptions,
  type ChoiceFlags,
  type SinkFlags,
  type SourceFlags,
} from './options.ts';

// The grammar of `baton sync` itself: the command that syncs.

/** What its options are read into; what is not there has the library's default. */
export type SyncFlags = SourceFlags &
  ChoiceFlags &
  SinkFlags &
  ListenFlags & {
    readonly name?: string;
    readonly dumpOnly?: true;
    /** False for `--no-dump`. */
    readonly dump: boolean;
    readonly until?: string;
    readonly jobs: number;
    readonly spillDir?: string;
    readonly abandonSlotAt?: number;
    readonly json?: true;
    readonly logLevel: LogLevel;
  };

const jobsDefault = 4;
const jobsMax = 64;

/** Makes the program into the command that syncs. */
export function addSyncOptions(program: Command): Command {
  addSinkOptions(addChoiceOptions(addSourceOptions(program)));
  program
    .option('--name <name>', 'what this sync is called in its log and metrics (default: the database)')
    .addOption(new Option('--dump-only', 'fill the sink with one state, and end').conflicts(['until']))
    .option('--no-dump', 'take what the sink has for the state where the stream begins')
    .option('--until <position>', 'end at the first commit there or after it, such as 0/16B3748')
    .addOption(
      new Option('--jobs <count>', 'connections that a dump reads by')
        .argParser(values.parseWhole('--jobs', 1, jobsMax))
        .default(jobsDefault),
    )
    .option('--spill-dir <directory>', 'for large transactions that are not committed yet (default: below TMPDIR)')
    .addOption(
      new Option(
        '--abandon-slot-at <size>',
        'drop the slot, and end, when the server keeps more log than this for it (default: never)',
      ).argParser(values.parseMemory('--abandon-slot-at')),
    )
    .option('--json', 'all that is said as one JSON object a line, on standard output')
    .addOption(
      new Option('--log-level <level>', `how much is said: ${logLevels.join(', ')}`)
        .argParser(values.parseChoice('--log-level', logLevels))
        .default('info', 'info'),
    );
  addListenOptions(program, {
    listen: 'of status, metrics and orders: HOST:PORT, unix:PATH or none (default: 127.0.0.1:6481)',
    tokens: 'the list of tokens; where it exists, everybody needs one (default: nobody does)',
    everything: 'give orders',
  });
  return program.addHelpText('after', `\n${runExamples}`);
}

/** Hands over a sync. Throws USAGE for options that contradict one another. */
export function acceptSync(flags: SyncFlags, accept: Accept): void {
  checkListenFlags(flags);
  if (flags.dumpOnly && !flags.dump) throw values.usage('--dump-only and --no-dump contradict one another');
  // One that is missing is said to be so when it is needed.
  const isEtcd = /^etcds?:/.test(flags.to ?? 'etcd:');
  const ofEtcd = [flags.layout, flags.keyTemplate, flags.envelope, flags.adopt];
  if (!isEtcd && (hasEtcdFlags(flags) || ofEtcd.some((value) => value !== undefined)))
    throw values.usage('--etcd-…, --layout, --key-template, --envelope and --adopt are for --to etcd://…');
  if (flags.json && flags.to === 'ndjson:-')
    throw values.usage('--json and --to ndjson:- both want standard output', 'leave --json out: the log is on stderr');
  accept(async (context) => {
    const { runSync } = await import('./run.ts');
    return await runSync(flags, context);
  });
}
