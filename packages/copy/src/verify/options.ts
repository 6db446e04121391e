import { type CopyOptions, defaultOptions } from '../options.ts';

/** What a comparison can be told not to mind. */
export const ignorable = ['extra', 'hardlinks', 'mode', 'owner', 'times', 'xattrs'] as const;

export type Ignorable = (typeof ignorable)[number];

/** What a caller of verify() can say; what it shares with copy() means the same there. */
export type VerifyOptions = Pick<
  CopyOptions,
  'as' | 'exclude' | 'oneFileSystem' | 'ssh' | 'agent' | 'sudo' | 'priority' | 'dryRun'
> & {
  /** Only what the file systems say of the files: their content is not read. */
  readonly quick: boolean;
  /** Differences that do not count. */
  readonly ignore: readonly Ignorable[];
};

const { exclude, oneFileSystem, ssh, agent, sudo, priority, dryRun } = defaultOptions;

export const defaultVerifyOptions: VerifyOptions = {
  ...{ exclude, oneFileSystem, ssh, agent, sudo, priority, dryRun },
  quick: false,
  ignore: [],
};
