import { type Command, Option } from 'commander';
import type { Section } from './document.ts';
import type { ConfigChoice, ConfigFile } from './files.ts';
import { isDisplaced, isRepeatable, readSettings, type Setting } from './settings.ts';
import { translateTransferpy } from './transferpy.ts';

// Where configuration files meet the command line: it was parsed already, and what it leaves open they may decide.

/** Reads the files of a choice. */
export type ConfigReader = (choice: ConfigChoice) => readonly ConfigFile[];

/** For callers that want the command line alone. */
export const noConfig: ConfigReader = () => [];

/** Adds `--config FILE` and `--no-config`. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('--config <file>', 'read this configuration file, and none of the usual ones')
    .option('--no-config', 'read no configuration file');
}

/**
 * Adds a hidden `--no-NAME` for every option without a word that means its default, so that the command line can take back what
 * a file says: flags, lists, and values that are not set by default. Comes after all other options.
 */
export function addNegations(command: Command): Command {
  const names = new Set(command.options.map((option) => option.long));
  for (const option of command.options) {
    const isOpen = option.isBoolean() || isRepeatable(option) || option.defaultValue === undefined;
    if (option.negate || option.hidden || !isOpen || names.has(`--no-${option.name()}`)) continue;
    const negation = new Option(`--no-${option.name()}`, `what --${option.name()} is by default`).hideHelp();
    command.addOption(negation);
    const takeBack = (): unknown =>
      command.setOptionValueWithSource(option.attributeName(), option.defaultValue as unknown, 'cli');
    command.on(`option:${negation.name()}`, takeBack);
  }
  return command;
}

/** What configuration files did to a command. */
export type Configured = {
  /** The files that were read, the one that counts less first. */
  readonly paths: readonly string[];
  /** What they decided. */
  readonly settings: readonly Setting[];
};

/** What the configuration files of a parsed command say, whatever its command line says. Throws USAGE. */
export function readConfig(
  command: Command,
  grammar: Command,
  read: ConfigReader,
  section: Section = 'copy',
): Configured {
  const files = read(choiceOf(command));
  return { paths: files.map(({ path }) => path), settings: [...readSettings(files, grammar, section).values()] };
}

/**
 * Gives a parsed command the values of its configuration files, where its command line says nothing. `grammar` is the command
 * whose options are the keys. Throws USAGE.
 */
export function applyConfig(
  command: Command,
  grammar: Command,
  read: ConfigReader,
  section: Section = 'copy',
): Configured {
  translateTransferpy(command);
  const { paths, settings } = readConfig(command, grammar, read, section);
  return { paths, settings: giveSettings(command, settings) };
}

/** Gives a parsed command those settings that its command line leaves open, and returns them. */
export function giveSettings(command: Command, settings: readonly Setting[]): readonly Setting[] {
  const open = settings.filter((setting) => isOpen(setting, command));
  for (const { option, value } of open) command.setOptionValueWithSource(option.attributeName(), value, 'config');
  return open;
}

function choiceOf(command: Command): ConfigChoice {
  // Also when it stands before the name of a subcommand: `baton copy --no-config clean`.
  type Said = { readonly config?: string | boolean };
  const { config } = { ...command.parent?.opts<Said>(), ...command.opts<Said>() };
  if (config === false) return { kind: 'none' };
  return typeof config === 'string' ? { kind: 'file', path: config } : { kind: 'usual' };
}

/** Whether the command has the option, and its command line has not decided it. */
function isOpen(setting: Setting, command: Command): boolean {
  const name = setting.option.attributeName();
  const said = command.options.filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli');
  return (
    command.options.some((option) => option.attributeName() === name) &&
    !said.some(
      (option) => option.attributeName() === name || isDisplaced(setting, { option, value: valueIn(command, option) }),
    )
  );
}

function valueIn(command: Command, option: Option): unknown {
  return command.getOptionValue(option.attributeName()) as unknown;
}
