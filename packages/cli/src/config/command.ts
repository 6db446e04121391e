import type { Command } from 'commander';
import { configHelp } from '../help.ts';
import { addConfigOptions, type ConfigReader, readConfig } from './apply.ts';
import { type EffectiveConfig, effectiveConfig } from './show.ts';

/** What `baton config` asks for. */
export type ConfigRequest = {
  readonly kind: 'config';
  readonly config: EffectiveConfig;
  readonly form: 'human' | 'json';
};

/** Makes a command into `baton config`; `grammar` is the command whose options it shows. */
export function makeConfig(
  command: Command,
  grammar: Command,
  read: ConfigReader,
  accept: (request: ConfigRequest) => void,
): void {
  addConfigOptions(command)
    .description('shows the options that hold where a command line says nothing, and where each comes from')
    .option('--json', 'as one JSON object')
    .addHelpText('after', `\n${configHelp}`)
    .action(({ json }: { readonly json?: true }) => {
      const config = effectiveConfig(grammar, readConfig(command, grammar, read));
      accept({ kind: 'config', config, form: json ? 'json' : 'human' });
    });
}
