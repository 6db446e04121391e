import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { systemTablespaceNames } from './data-file-path.ts';
import type { Role, ServerNames } from './names.ts';

/** Where a server keeps its data, as its options say it: paths may be relative to the data directory; '' and undefined: in it. */
export type DataLayout = {
  /** Absolute. */
  readonly dataDirectory: string;
  /** `innodb_data_home_dir`. */
  readonly innodbDataHome?: string | undefined;
  /** `innodb_data_file_path`. */
  readonly innodbDataFilePath?: string | undefined;
  /** `innodb_log_group_home_dir`. */
  readonly innodbLogHome?: string | undefined;
  /** `innodb_undo_directory`. */
  readonly innodbUndo?: string | undefined;
  /** `aria_log_dir_path`. */
  readonly ariaLog?: string | undefined;
  /** `log_bin_basename`, or what `log_bin` names; undefined when there is no binary log. */
  readonly binlog?: string | undefined;
  /** `log_bin_index`. */
  readonly binlogIndex?: string | undefined;
  /** `relay_log`. */
  readonly relayLog?: string | undefined;
};

/** One directory that takes part in a swap, and what of the server's files belongs there. */
export type PlaceLayout = { readonly path: string; readonly roles: readonly Role[] };

/** A layout with every path resolved: the data directory is the first place, and each directory is there once. */
export type ResolvedLayout = {
  readonly places: readonly [PlaceLayout, ...PlaceLayout[]];
  readonly names: ServerNames;
};

/**
 * Resolves the directories of a server's options. Throws UNSUPPORTED (raw devices), NOT_FOUND, NOT_A_DIRECTORY, NO_PERMISSION, each naming
 * the option.
 */
export function resolveLayout(layout: DataLayout): ResolvedLayout {
  const top = resolveDirectory(layout.dataDirectory, 'datadir');
  const within = (path: string, option: string): string => resolveDirectory(resolve(top, path), option);
  const parentOf = (path: string | undefined): string => (path === undefined ? '' : dirname(path));
  const wanted: readonly (readonly [Role, string | undefined, string])[] = [
    ['system', layout.innodbDataHome, 'innodb_data_home_dir'],
    ['redo', layout.innodbLogHome, 'innodb_log_group_home_dir'],
    ['undo', layout.innodbUndo, 'innodb_undo_directory'],
    ['aria', layout.ariaLog, 'aria_log_dir_path'],
    ['binlog', parentOf(layout.binlog), 'log_bin'],
    ['binlog-index', parentOf(layout.binlogIndex ?? layout.binlog), 'log_bin_index'],
    ['relay-log', parentOf(layout.relayLog), 'relay_log'],
  ];
  const roles = new Map<string, Role[]>([[top, ['data']]]);
  for (const [role, path, option] of wanted) {
    const directory = path === undefined || path === '' ? top : within(path, option);
    roles.set(directory, [...(roles.get(directory) ?? []), role]);
  }
  const [first, ...others] = [...roles].map(([path, ofPlace]) => ({ path, roles: ofPlace }));
  return { places: [first as PlaceLayout, ...others], names: namesOf(layout) };
}

function namesOf(layout: DataLayout): ServerNames {
  const { binlog, binlogIndex, relayLog } = layout;
  const base = binlog === undefined ? undefined : basename(binlog);
  return {
    systemTablespace: systemTablespaceNames(layout.innodbDataFilePath),
    binlog: base,
    binlogIndex: binlogIndex === undefined ? undefined : basename(binlogIndex),
    relayLog: relayLog === undefined ? undefined : basename(relayLog),
  };
}

function resolveDirectory(path: string, option: string): string {
  try {
    const real = realpathSync(path);
    if (statSync(real).isDirectory()) return real;
  } catch (error) {
    const { code, message, hint } = toBatonError(error, { path });
    throw new BatonError(code, `${option}: ${message}`, { ...(hint === undefined ? {} : { hint }), cause: error });
  }
  throw new BatonError('NOT_A_DIRECTORY', `${option}: ${path} is not a directory`);
}
