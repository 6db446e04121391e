// Which versions of the data channel this build speaks, and how two sides agree on one.

/** A closed range of protocol versions. */
export type VersionRange = { readonly min: number; readonly max: number };

/** The versions of the data channel that this build speaks. A release keeps the one before it. */
export const dataVersions: VersionRange = { min: 1, max: 1 };

/** The highest version both sides speak, or undefined when they have none in common. */
export function chooseVersion(ours: VersionRange, theirs: VersionRange): number | undefined {
  const version = Math.min(ours.max, theirs.max);
  return version >= Math.max(ours.min, theirs.min) ? version : undefined;
}
