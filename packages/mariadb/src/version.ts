import { BatonError } from '@batondb/core/errors';

/** Whose server, or whose tool. Percona Server is MySQL with a name of its own. */
export type Family = 'mariadb' | 'mysql' | 'percona';

export type ServerVersion = {
  readonly family: Family;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** As the server says it, such as `10.11.19-MariaDB-0+deb12u1-log`. */
  readonly text: string;
};

/** Reads `@@version` and `@@version_comment`. Throws UNSUPPORTED for what is no version. */
export function parseServerVersion(version: string, comment: string): ServerVersion {
  const numbers = parseNumbers(version);
  if (numbers === undefined) throw new BatonError('UNSUPPORTED', `'${version}' is not a version of MariaDB or MySQL`);
  const isMariadb = /mariadb/i.test(version) || /mariadb/i.test(comment);
  const family = isMariadb ? 'mariadb' : /percona/i.test(comment) ? 'percona' : 'mysql';
  return { family, ...numbers, text: version };
}

export type Numbers = { readonly major: number; readonly minor: number; readonly patch: number };

/** The three numbers that a version begins with. */
export function parseNumbers(text: string): Numbers | undefined {
  const [, major, minor, patch] = /^(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?!\d)/.exec(text) ?? [];
  return patch === undefined ? undefined : { major: Number(major), minor: Number(minor), patch: Number(patch) };
}

/** Whether a version is at least `major.minor.patch`. */
export function isAtLeast(version: Numbers, major: number, minor: number, patch: number = 0): boolean {
  if (version.major !== major) return version.major > major;
  return version.minor === minor ? version.patch >= patch : version.minor > minor;
}

/** `10.11.19`. */
export function formatNumbers({ major, minor, patch }: Numbers): string {
  return `${major}.${minor}.${patch}`;
}

/** `MariaDB 10.11.19`. */
export function formatVersion(version: ServerVersion): string {
  const name = { mariadb: 'MariaDB', mysql: 'MySQL', percona: 'Percona Server' }[version.family];
  return `${name} ${formatNumbers(version)}`;
}
