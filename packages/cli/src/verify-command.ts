import type { CopyPlan, VerifyOptions } from '@batondb/copy';
import type { Endpoint } from '@batondb/copy/endpoint';
import { defaultVerifyOptions, type Ignorable, ignorable } from '@batondb/copy/verify/options';
import { type Command, Option } from 'commander';
import type { View } from './command-line.ts';
import { verifyExamples } from './help.ts';
import { readPlan } from './operands.ts';
import * as values from './option-values.ts';

// The grammar of `baton verify`.

/** What a command line that begins with `verify` asks for. */
export type VerifyRequest = {
  readonly kind: 'verify';
  readonly plan: CopyPlan;
  readonly options: VerifyOptions;
  readonly view: View;
  /** Differences that are shown of each target; with `--json` all are. */
  readonly shownMax: number;
};

/** Differences of one target that a person may want to read at once. */
const shownDefault = 50;

/** Options of all commands: how they are declared, and what they come to. */
export type SharedOptions<Flags> = {
  readonly add: (command: Command) => Command;
  readonly read: (
    flags: Flags,
    endpoints: readonly Endpoint[],
  ) => Pick<VerifyOptions, 'ssh' | 'agent' | 'sudo' | 'dryRun'>;
  readonly view: (flags: Flags) => View;
};

type VerifyFlags = Pick<VerifyOptions, 'as' | 'exclude' | 'priority' | 'ignore'> & {
  readonly oneFileSystem?: true;
  readonly quick?: true;
  readonly show: number;
};

/** Declares `verify` with its options. */
export function makeVerify<Flags>(
  command: Command,
  shared: SharedOptions<Flags>,
  accept: (request: VerifyRequest) => void,
): void {
  command
    .description('compares a file or tree with its copies, changes nothing, and names what differs')
    .usage('[options] SOURCE TARGET…')
    .argument('<source>', '[user@]host:path, [user@][2001:db8::1]:path, or a local path')
    .argument('<targets...>', 'the directories that the copies lie in, as for copy, or @FILE')
    .helpCommand(false)
    .addOption(
      new Option('--as <name>', 'name of the copy in the target directory (default: that of the source)').argParser(
        values.parseName,
      ),
    )
    .option('--quick', 'compare names, sizes, times and other metadata; read no content')
    .addOption(
      new Option('--ignore <what>', `what may differ, with commas between: ${ignorable.join(', ')}`)
        .argParser((text: string, earlier: readonly Ignorable[]) => [...earlier, ...parseIgnore(text)])
        .default(defaultVerifyOptions.ignore, 'nothing'),
    )
    .addOption(
      new Option('--exclude <pattern>', 'leave out what matches, as in .gitignore; repeatable')
        .argParser((text: string, earlier: readonly string[]) => [...earlier, values.parsePattern(text)])
        .default(defaultVerifyOptions.exclude, 'nothing'),
    )
    .option('--one-file-system', 'do not enter other file systems below the source and the copies')
    .addOption(
      new Option('--priority <how>', 'of CPU and disk on the hosts: low, normal')
        .argParser(values.parseChoice('--priority', ['low', 'normal']))
        .default(defaultVerifyOptions.priority, defaultVerifyOptions.priority),
    )
    .addOption(
      new Option('--show <count>', 'differences shown of each target; the rest is counted')
        .argParser(values.parseWhole('--show', 0, 1_000_000_000))
        .default(shownDefault),
    );
  shared
    .add(command)
    .addHelpText('after', `\n${verifyExamples}`)
    .action((source: string, targets: string[], flags: VerifyFlags & Flags) => {
      const plan = readPlan(source, targets, flags.as);
      const { as, exclude, priority, ignore } = flags;
      const { ssh, agent, sudo, dryRun } = shared.read(flags, [plan.source, ...plan.targets]);
      const options: VerifyOptions = {
        ...{ ssh, agent, sudo, dryRun, exclude, priority, ignore },
        ...(as === undefined ? {} : { as }),
        oneFileSystem: flags.oneFileSystem ?? false,
        quick: flags.quick ?? false,
      };
      accept({ kind: 'verify', plan, options, view: shared.view(flags), shownMax: flags.show });
    });
}

function parseIgnore(text: string): Ignorable[] {
  return text.split(',').map((word) => values.parseChoice('--ignore', ignorable)(word.trim()));
}
