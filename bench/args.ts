import { parseArgs } from 'node:util';

/** What a run of the bench was asked to do. */
export type BenchOptions = {
  readonly rounds: number;
  readonly sizeBytes: number;
  readonly files: number;
  /** Names of methods; empty: all of them. */
  readonly only: readonly string[];
  /** Names of data sets; empty: the trees. */
  readonly data: readonly string[];
  /** Where data and copies lie; undefined: a temporary directory that is removed at the end. */
  readonly directory: string | undefined;
  readonly minutes: number;
  readonly seed: number;
  readonly json: boolean;
};

const units: Readonly<Record<string, number>> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

export const usage = `Usage: npm run bench:copy -- [options]

Times baton copy side by side with its peers, every method once a round, and prints medians, ratios and goals (Markdown).
With --data backup it starts a MariaDB server of its own, as root, and backs it up to one and to three hosts.

  --rounds N       rounds; slow methods run in every second one (default 5)
  --size SIZE      bytes of the data sets "large" and "backup": 64MiB, 2GiB (default 2GiB)
  --files N        files of the data set "small" (default 20000)
  --data NAME,…    data sets: large, small, backup (default large,small)
  --only NAME,…    methods (default all; see below)
  --dir DIR        work in DIR and keep the data sets there for the next run (default: a temporary directory, removed)
  --minutes N      begin no round that would end later than this (default 14)
  --seed N         seed of the data (default 1)
  --json           print one JSON document with every sample instead
  --help           this text
`;

/**
 * Reads the command line.
 * Throws an Error that names the option and the value when one does not fit; `--help` gives `undefined`.
 */
export function parseOptions(argv: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string', default: '5' },
      size: { type: 'string', default: '2GiB' },
      files: { type: 'string', default: '20000' },
      data: { type: 'string', default: '' },
      only: { type: 'string', default: '' },
      dir: { type: 'string' },
      minutes: { type: 'string', default: '14' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    rounds: wholeNumber('--rounds', values.rounds),
    sizeBytes: byteCount('--size', values.size),
    files: wholeNumber('--files', values.files),
    only: list(values.only),
    data: list(values.data),
    directory: values.dir,
    minutes: wholeNumber('--minutes', values.minutes),
    seed: wholeNumber('--seed', values.seed),
    json: values.json,
  };
}

/** A whole number from 1; throws an Error that names the option. */
export function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`${option} must be a whole number from 1, not ${text}`);
  return value;
}

/** A size such as 64MiB; throws an Error that names the option. */
export function byteCount(option: string, text: string): number {
  const match = /^(\d+)(|KiB|MiB|GiB)$/.exec(text);
  const factor = units[match?.[2] ?? '?'];
  if (match === null || factor === undefined) throw new Error(`${option} must be like 64MiB or 2GiB, not ${text}`);
  return Number(match[1]) * factor;
}

function list(text: string): string[] {
  return text.split(',').filter((name) => name !== '');
}
