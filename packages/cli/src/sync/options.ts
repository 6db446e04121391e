import type { MappingOptions } from '@batondb/sync/mapping/mapping';
import { type Command, Option } from 'commander';
import * as values from '../option-values.ts';
import { addEtcdOptions, type EtcdFlags } from '../service/etcd-options.ts';
import { collectColumns, collectNames, collectPattern, collectRename } from './table-values.ts';

// Options that several commands of `baton sync` have: of the source, of what is taken of it, and of the sink.

export type SourceFlags = {
  readonly from?: string;
  readonly passwordFile?: string;
  readonly slot: string;
  readonly publication: readonly string[];
};

/** The name of slot and publication when nothing else was said. */
export const defaultName = 'baton';

export function addSourceOptions(command: Command): Command {
  return command
    .option('--from <url>', 'the source: postgres://USER@HOST:PORT,HOST:PORT/DATABASE?sslmode=verify-full')
    .option('--password-file <file>', 'a file with the password of its user (or PGPASSWORD, or .pgpass)')
    .addOption(new Option('--slot <name>', 'the replication slot').default(defaultName, defaultName))
    .addOption(
      new Option('--publication <name>', 'the publication; repeatable')
        .argParser(collectNames)
        .default([], defaultName),
    );
}

export type ChoiceFlags = {
  readonly include: MappingOptions['include'];
  readonly exclude: MappingOptions['exclude'];
  readonly columns: MappingOptions['columns'];
};

/** What of the source goes to the sink. */
export function addChoiceOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--include <pattern>', 'tables, as SCHEMA.TABLE with * for any characters; repeatable')
        .argParser(collectPattern)
        .default([], 'all that are published'),
    )
    .addOption(
      new Option('--exclude <pattern>', 'tables that are left out; wins over --include; repeatable')
        .argParser(collectPattern)
        .default([], 'none'),
    )
    .addOption(
      new Option('--columns <table=list>', 'only these columns of tables, with commas between; repeatable')
        .argParser(collectColumns('--columns'))
        .default([], 'all'),
    );
}

/** `native`, `contrail`: how etcd's keys look. */
const layouts = ['native', 'contrail'] as const;
const onErrors = ['stop', 'record'] as const;

export type SinkFlags = EtcdFlags & {
  readonly to?: string;
  readonly key: MappingOptions['keys'];
  readonly rename: MappingOptions['renames'];
  readonly layout?: (typeof layouts)[number];
  readonly keyTemplate?: string;
  readonly envelope?: true;
  readonly onError: (typeof onErrors)[number];
  readonly adopt?: true;
};

export function addSinkOptions(command: Command): Command {
  command
    .option('--to <url>', 'the sink: etcd://HOST:PORT,…/PREFIX, sqlite:FILE, ndjson:FILE, ndjson:- or exec:COMMAND')
    .addOption(
      new Option('--key <table=list>', 'what tells rows apart where it is not the primary key; repeatable')
        .argParser(collectColumns('--key'))
        .default([], 'the primary key'),
    )
    .addOption(
      new Option('--rename <from=to>', 'another name of a table at the sink; repeatable')
        .argParser(collectRename)
        .default([], 'none'),
    )
    .addOption(
      new Option('--layout <which>', `of etcd's keys: ${layouts.join(', ')} (default: native)`).argParser(
        values.parseChoice('--layout', layouts),
      ),
    )
    .addOption(
      new Option('--key-template <path>', "etcd's keys: /{schema}/{table}/{key}, or columns as {name}").conflicts(
        'layout',
      ),
    )
    .option('--envelope', "etcd's values are {position, time, row} instead of the row alone")
    .addOption(
      new Option('--on-error <what>', `a row that the sink cannot hold: ${onErrors.join(', ')}`)
        .argParser(values.parseChoice('--on-error', onErrors))
        .default('stop', 'stop'),
    )
    .option('--adopt', 'take over rows that somebody else has written below the prefix in etcd');
  return addEtcdOptions(command);
}

/** Which tables and columns, and by which names. */
export function mappingOf(flags: ChoiceFlags & Partial<Pick<SinkFlags, 'key' | 'rename'>>): MappingOptions {
  const { include, exclude, columns, key = [], rename = [] } = flags;
  return { include, exclude, columns, keys: key, renames: rename };
}

/** Throws USAGE for a source or a sink that was not named. */
export function requireUrl(name: '--from' | '--to', url: string | undefined): string {
  if (url !== undefined) return url;
  throw values.usage(`${name} is missing`, `say ${name} URL, or name a file with it by --config`);
}

/** Publications that were named, or the usual one. */
export function publicationsOf({ publication }: SourceFlags): readonly string[] {
  return publication.length === 0 ? [defaultName] : publication;
}
