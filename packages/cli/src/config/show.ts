import type { Command, Option } from 'commander';
import { pad, widthOf } from '../render/style.ts';
import { type Section, sectionNames } from './document.ts';
import { configurable, isRepeatable, type Setting } from './settings.ts';

// What `baton config` prints: the options in effect before a command line says anything, and where each comes from.

/** One option in effect. */
export type EffectiveOption = {
  /** The part of a file in which it stands. */
  readonly section: Section;
  readonly name: string;
  /** As a configuration file would have it; null: not set. */
  readonly value: string | readonly string[] | boolean | null;
  /** `default`, or `file:line`. */
  readonly from: string;
};

/** All of them: `files` are those that were read, the one that counts less first. */
export type EffectiveConfig = { readonly files: readonly string[]; readonly options: readonly EffectiveOption[] };

/** The options of a section's grammar with what configuration files decided. */
export function effectiveOptions(
  section: Section,
  grammar: Command,
  settings: readonly Setting[],
): readonly EffectiveOption[] {
  return [...configurable(grammar, section)].map(([name, option]): EffectiveOption => {
    const setting = settings.find((one) => one.option.attributeName() === option.attributeName());
    return setting === undefined
      ? { section, name, value: defaultOf(option), from: 'default' }
      : { section, name, value: setting.written, from: setting.place };
  });
}

function defaultOf(option: Option): EffectiveOption['value'] {
  if (option.isBoolean()) return false;
  if (isRepeatable(option)) return [];
  const value = option.defaultValue as number | string | undefined;
  return value === undefined ? null : (option.defaultValueDescription ?? String(value));
}

/** The lines for people. */
export function effectiveLines({ files, options }: EffectiveConfig): string[] {
  const rows = options.map(({ section, name, value, from }) => ({
    section,
    cells: [name, textOf(value), from] as const,
  }));
  const width = (column: 0 | 1): number => Math.max(...rows.map(({ cells }) => widthOf(cells[column])));
  const [nameWidth, valueWidth] = [width(0), width(1)];
  const lines = sectionNames.flatMap((wanted) => [
    '',
    `${wanted}:`,
    ...rows
      .filter(({ section }) => section === wanted)
      .map(({ cells: [name, value, from] }) => `  ${pad(name, nameWidth)}  ${pad(value, valueWidth)}  ${from}`),
  ]);
  return [files.length === 0 ? 'no configuration file was read' : `read: ${files.join(', ')}`, ...lines];
}

function textOf(value: EffectiveOption['value']): string {
  if (value === null) return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.join(', ');
  return String(value);
}
