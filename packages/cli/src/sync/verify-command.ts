import type { TablePattern } from '@batondb/sync/mapping/patterns';
import { type Command, Option } from 'commander';
import * as values from '../option-values.ts';
import type { Accept } from '../service/subcommands.ts';
import { addFileOptions, applyFiles } from './config.ts';
import { verifyExamples } from './help.ts';
import {
  addChoiceOptions,
  addSinkOptions,
  addSourceOptions,
  type ChoiceFlags,
  type SinkFlags,
  type SourceFlags,
} from './options.ts';
import type { Files } from './setup-command.ts';
import { collectPattern } from './table-values.ts';

// The grammar of `baton sync verify`.

export type VerifyFlags = SourceFlags &
  ChoiceFlags &
  SinkFlags & {
    readonly table: readonly TablePattern[];
    readonly limit: number;
    readonly jobs: number;
    readonly spillDir?: string;
    readonly json?: true;
  };

const limitMax = 1_000_000;
const jobsMax = 64;

export function addVerifyCommand(program: Command, accept: Accept, files: Files): void {
  const command = program
    .command('verify')
    .description('compares source and sink row by row at one position, while the sync runs, and changes nothing');
  addSinkOptions(addChoiceOptions(addSourceOptions(addFileOptions(command))))
    .addOption(
      new Option('--table <pattern>', 'only these tables, by their names at the source; repeatable')
        .argParser(collectPattern)
        .default([], 'all that are synced'),
    )
    .addOption(
      new Option('--limit <count>', 'differences of each table that are shown; all are counted')
        .argParser(values.parseWhole('--limit', 0, limitMax))
        .default(10),
    )
    .addOption(
      new Option('--jobs <count>', 'tables that are compared at a time')
        .argParser(values.parseWhole('--jobs', 1, jobsMax))
        .default(2),
    )
    .option('--spill-dir <directory>', 'for large transactions that are not committed yet (default: below TMPDIR)')
    .option('--json', 'differences and tables as one JSON object a line')
    .addHelpText('after', `\n${verifyExamples}`)
    .action(() => {
      applyFiles(command, files.grammar, files.read);
      accept(async (context) => {
        const { runVerify } = await import('./verify.ts');
        return await runVerify(command.opts<VerifyFlags>(), context);
      });
    });
}
