import { type Command, Option } from 'commander';
import { usage } from '../option-values.ts';

// The option names of transferpy (its manual page, version 1.2), where they mean the same here. docs/from-transferpy.md has all.

/** Adds them to `copy`, out of the help's way: their own names here say more. */
export function addTransferpyOptions(copy: Command): void {
  const hidden = [
    new Option('--no-compress', 'the same as --compress none'),
    new Option('--encrypt', 'everything is encrypted anyway'),
    new Option('--no-encrypt', 'refused'),
    new Option('--checksum', 'the same as --verify disk').conflicts('verify'),
    new Option('--no-checksum', 'the same as --verify wire').conflicts('verify'),
    new Option('--parallel-checksum', 'the same as --verify wire').conflicts('verify'),
    new Option('--no-parallel-checksum', 'the default'),
    new Option('--stop-slave', 'the same as --stop-replica'),
  ];
  for (const option of hidden) copy.addOption(option.hideHelp());
  copy.on('option:no-compress', () => copy.setOptionValueWithSource('compress', { mode: 'none' }, 'cli'));
  copy.on('option:stop-slave', () => copy.setOptionValueWithSource('stopReplica', true, 'cli'));
  copy.on('option:no-encrypt', () => {
    throw usage('--no-encrypt: encryption cannot be turned off', 'leave the option out');
  });
}

/**
 * Puts what transferpy's options mean into Baton's own, before configuration files are looked at: they are of the command line.
 * As there, --checksum counts more than --parallel-checksum.
 */
export function translateTransferpy(copy: Command): void {
  const { checksum, parallelChecksum } = copy.opts<{ checksum?: boolean; parallelChecksum?: boolean }>();
  if (checksum === undefined && !parallelChecksum) return;
  copy.setOptionValueWithSource('verify', checksum ? 'disk' : 'wire', 'cli');
}

/**
 * The words with `--compress=auto` for a `--compress` that has no value. What follows it is its value unless it can only be a
 * path: transferpy's `--compress` is a flag, and `--compress db1:/srv db2:/srv` is how people have it in their fingers.
 */
export function withBareCompress(words: readonly string[], commands: readonly Command[]): readonly string[] {
  const options = commands.find((command) => command.name() === 'copy' && words[0] === 'copy')?.options ?? [];
  const result = [...words];
  for (let index = 0; index < result.length; index++) {
    const word = result[index] ?? '';
    if (word === '--') break;
    const option = options.find(({ short, long }) => word === short || word === long);
    if (option?.long === '--compress' && !isValue(result[index + 1])) result[index] = '--compress=auto';
    else if (option?.required) index += 1;
  }
  return result;
}

function isValue(word: string | undefined): boolean {
  return word !== undefined && (word.startsWith('zstd:') || !/^[-@.]|[/:]/.test(word));
}

const keyHints: Readonly<Record<string, string>> = {
  checksum: "write verify: disk for transferpy's checksum, verify: wire for none of it",
  parallel_checksum: "write verify: wire for transferpy's parallel checksum, which is the default",
  'parallel-checksum': "write verify: wire for transferpy's parallel checksum, which is the default",
  encrypt: 'leave it out: everything is encrypted',
  transfer_type: 'write type: file, mariadb or decompress',
};

/** What stands here for a key of transferpy's configuration. */
export function transferpyKeyHint(key: string): string | undefined {
  return Object.hasOwn(keyHints, key) ? keyHints[key] : undefined;
}
