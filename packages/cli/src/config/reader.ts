import { printableText } from '../render/style.ts';
import type { ConfigReader } from './apply.ts';
import { type ConfigChoice, configPaths, configPlace, readConfigFiles } from './files.ts';

/** A reader that remembers what it looked for and what it read, for `--verbose`. */
export type RememberingReader = { readonly read: ConfigReader; readonly lines: () => string[] };

/** The reader of this process's configuration files. */
export function readerFor(environment: Readonly<Record<string, string | undefined>>): RememberingReader {
  const place = configPlace(environment);
  const lines: string[] = [];
  const read = (choice: ConfigChoice): ReturnType<ConfigReader> => {
    const files = readConfigFiles(choice, place);
    const missing = configPaths(choice, place).filter((path) => files.every((file) => file.path !== path));
    lines.push(...files.map(({ path }) => `config ${printableText(path)}`));
    lines.push(...missing.map((path) => `config ${printableText(path)}: there is none`));
    if (lines.length === 0) lines.push('config: no file, as --no-config asks');
    return files;
  };
  return { read, lines: () => lines };
}
