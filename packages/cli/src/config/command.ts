import type { Command } from 'commander';
import { configHelp } from '../help.ts';
import { addConfigOptions, type ConfigReader, readConfig } from './apply.ts';
import { type Section, sectionNames } from './document.ts';
import { type EffectiveConfig, effectiveOptions } from './show.ts';

/** What `baton config` asks for. */
export type ConfigRequest = {
  readonly kind: 'config';
  readonly config: EffectiveConfig;
  readonly form: 'human' | 'json';
};

/** Makes a command into `baton config`; `grammars` are the commands whose options it shows. */
export function makeConfig(
  command: Command,
  grammars: Readonly<Record<Section, Command>>,
  read: ConfigReader,
  accept: (request: ConfigRequest) => void,
): void {
  addConfigOptions(command)
    .description('shows the options that hold where a command line says nothing, and where each comes from')
    .option('--json', 'as one JSON object')
    .addHelpText('after', `\n${configHelp}`)
    .action(({ json }: { readonly json?: true }) => {
      const sections = sectionNames.map((section) => {
        const { paths, settings } = readConfig(command, grammars[section], read, section);
        return { paths, options: effectiveOptions(section, grammars[section], settings) };
      });
      const config = { files: sections[0]?.paths ?? [], options: sections.flatMap(({ options }) => options) };
      accept({ kind: 'config', config, form: json ? 'json' : 'human' });
    });
}
