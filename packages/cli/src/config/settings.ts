import { BatonError } from '@batondb/core/errors';
import { nearestName } from '@batondb/core/text/suggest';
import type { Command, Option } from 'commander';
import { type Entry, readEntries, type Subject, type Written } from './document.ts';
import type { ConfigFile } from './files.ts';
import { transferpyKeyHint } from './transferpy.ts';

// From the entries of configuration files to the values of options, by the grammar of the command line itself: a key is a long
// option, its text goes through the parser of that option.

/** The value that a configuration file gives to an option. */
export type Setting = {
  readonly option: Option;
  readonly value: unknown;
  /** As it is written: a text, several for an option that is repeated, or whether a flag is set. */
  readonly written: string | readonly string[] | boolean;
  /** Where it stands: `file:line`. */
  readonly place: string;
};

/** Settings by the name under which the command line keeps the option's value. */
export type Settings = ReadonlyMap<string, Setting>;

/** Options that say what one command is about, not how such commands are run; and those that give up protection. */
const ofOneCommand: Readonly<Record<Subject, readonly string[]>> = {
  copy: ['as', 'stdin', 'exec', 'update', 'incremental'],
  sqlite: ['behind-proxy', 'promote', 'adopt'],
  sync: ['dump-only', 'until', 'contrail-config'],
};

/** The options of a command that a configuration file can set, by key. */
export function configurable(grammar: Command, section: Subject): ReadonlyMap<string, Option> {
  return new Map([...named(grammar)].filter(([name]) => !ofOneCommand[section].includes(name)));
}

function named(grammar: Command): ReadonlyMap<string, Option> {
  return new Map(
    grammar.options
      .filter((option) => !option.hidden && !option.negate && option.name() !== 'config')
      .map((option) => [option.name(), option]),
  );
}

/** The settings that a section of some files has, the one that counts less first. Throws USAGE for a wrong key or value in any of them. */
export function readSettings(files: readonly ConfigFile[], grammar: Command, section: Subject): Settings {
  return files.map((file) => settingsOf(file, grammar, section)).reduce(merge, new Map<string, Setting>());
}

function settingsOf(file: ConfigFile, grammar: Command, section: Subject): Settings {
  return settingsFrom(readEntries(file, section), grammar, section);
}

/** What entries say of options. Throws USAGE for a wrong key or value, and for two that contradict one another. */
export function settingsFrom(entries: readonly Entry[], grammar: Command, section: Subject): Settings {
  const options = named(grammar);
  const settings = new Map<string, Setting>();
  for (const entry of entries) {
    const setting = settingOf(entry, options, section);
    const name = setting.option.attributeName();
    const rival = [...settings.values()].find((other) => isConflict(other, setting));
    if (rival !== undefined) {
      const message = `${entry.key} cannot be used with ${rival.option.name()} (${rival.place})`;
      throw wrong(entry.place, message, 'keep one of the two');
    }
    settings.set(name, setting);
  }
  return settings;
}

function settingOf({ key, value, place }: Entry, options: ReadonlyMap<string, Option>, section: Subject): Setting {
  const option = options.get(key);
  if (option === undefined) {
    const near = nearestName(
      key,
      [...options.keys()].filter((name) => !ofOneCommand[section].includes(name)),
    );
    const list = section === 'sync' ? 'keys are the long options of baton sync --help' : 'baton config lists the keys';
    const known = near === undefined ? list : `did you mean ${near}?`;
    throw wrong(place, `unknown key '${key}'`, transferpyKeyHint(key) ?? known);
  }
  if (ofOneCommand[section].includes(key)) {
    const what = section === 'copy' ? 'copy' : 'start';
    throw wrong(
      place,
      `'${key}' belongs to one ${what} and can have no default`,
      `give it on the command line: --${key}`,
    );
  }
  if (option.isBoolean()) return { option, place, ...flagOf(key, value) };
  const written = isList(value) ? value : [value];
  if (!isRepeatable(option)) {
    const [only, second] = written;
    if (only === undefined || isList(value) || second !== undefined) {
      throw wrong(place, `${key} is one value, not a list`, `write ${key}: VALUE`);
    }
    return { option, place, value: valueOf(option, only, option.defaultValue), written: only.text };
  }
  const collected = written.reduce((earlier, text) => valueOf(option, text, earlier), option.defaultValue as unknown);
  return { option, place, value: collected, written: written.map(({ text }) => text) };
}

function isList(value: Entry['value']): value is readonly Written[] {
  return Array.isArray(value);
}

/** An option that collects begins with nothing. */
export function isRepeatable(option: Option): boolean {
  return Array.isArray(option.defaultValue) && option.defaultValue.length === 0;
}

/** A flag that is set is `true`, as on the command line; one that is not has its default. */
function flagOf(key: string, value: Entry['value']): Pick<Setting, 'value' | 'written'> {
  const text = isList(value) ? undefined : value.text;
  if (text === 'true') return { value: true, written: true };
  if (text === 'false') return { value: undefined, written: false };
  const shown = text === undefined ? 'a list' : `'${text}'`;
  throw wrong(placeOf(value) ?? key, `${key} is true or false, not ${shown}`, `write ${key}: true`);
}

function placeOf(value: Entry['value']): string | undefined {
  return isList(value) ? value[0]?.place : value.place;
}

/** What the option's own parser makes of a text; its error, with the place in the file. */
function valueOf(option: Option, { text, place }: Written, earlier: unknown): unknown {
  try {
    return option.parseArg === undefined ? text : option.parseArg(text, earlier);
  } catch (error) {
    if (!(error instanceof BatonError)) throw error;
    const [flag, key] = [`--${option.name()}`, option.name()];
    const message = error.message.includes(flag) ? error.message.replaceAll(flag, key) : `${key}: ${error.message}`;
    throw wrong(place, message, error.hint?.replaceAll(`${flag} `, `${key}: `));
  }
}

/** Both together: what the file that counts more says wins, also over what cannot stand beside it. */
function merge(lower: Settings, higher: Settings): Settings {
  const rest = [...lower].filter(
    ([name, setting]) => !higher.has(name) && ![...higher.values()].some((winner) => isDisplaced(setting, winner)),
  );
  return new Map([...rest, ...higher]);
}

/** Whether a setting gives way to another that counts more: it says the same thing otherwise, or cannot stand beside it. */
export function isDisplaced(setting: Setting, winner: Pick<Setting, 'option' | 'value'>): boolean {
  const names = [setting.option.attributeName(), winner.option.attributeName()];
  const saySame = oneMatter.some((matter) => names.every((name) => matter.includes(name)));
  return saySame || isConflict(setting, winner);
}

/** Options in which one matter is decided: who answers for a part of it anew answers for all of it. */
const oneMatter: readonly (readonly string[])[] = [['sudo', 'sudoOn']];

function isConflict(one: Pick<Setting, 'option' | 'value'>, other: Pick<Setting, 'option' | 'value'>): boolean {
  if (one.value === undefined || other.value === undefined) return false;
  const excludes = (from: Option, to: Option): boolean => conflictsOf(from).includes(to.attributeName());
  return excludes(one.option, other.option) || excludes(other.option, one.option);
}

/** What an option was declared to conflict with; commander keeps it, but its types do not say so. */
function conflictsOf(option: Option): readonly string[] {
  return (option as Option & { readonly conflictsWith?: readonly string[] }).conflictsWith ?? [];
}

function wrong(place: string, message: string, hint: string | undefined): BatonError {
  return new BatonError('USAGE', `${place}: ${message}`, hint === undefined ? {} : { hint });
}
