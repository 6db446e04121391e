import { type Stats, statSync } from 'node:fs';
import { keyFingerprint, readKey } from '../key.ts';
import { groupIdOf, userIdOf } from '../users.ts';
import { type CheckFinding, findingOf, ok, problem, warning } from './finding.ts';
import type { Node } from './node.ts';

const others = 0o007;
const readByGroup = 0o040;
const readByOwner = 0o400;

/** The key, who can read it, and what proves the nodes to one another without it. */
export function checkKey({ read, options }: Node): CheckFinding[] {
  if (read === undefined) return [];
  const { settings, server } = read;
  const path = settings.keyFile;
  const found = tryStat(path);
  if (found === undefined) return [withoutKey(path, { ...settings, ...server, credentials: options.call.credentials })];
  try {
    const fingerprint = keyFingerprint(readKey(path));
    const shown = ok('key', `${path}, fingerprint ${fingerprint}; it has to be the same on every node`);
    if ((found.mode & others) !== 0) {
      const mode = (found.mode & 0o777).toString(8);
      return [problem('key', `${path} has mode ${mode}, and others must not read it`, `chmod 640 ${path}`)];
    }
    const isReadable =
      (found.uid === userIdOf('mysql') && (found.mode & readByOwner) !== 0) ||
      (found.gid === groupIdOf('mysql') && (found.mode & readByGroup) !== 0);
    if (isReadable) return [shown];
    return [
      problem('key', `${path} cannot be read by the user mysql`, `chown root:mysql ${path} && chmod 640 ${path}`),
    ];
  } catch (error) {
    return [findingOf('key', error)];
  }
}

type Without = {
  readonly isKeyFileNamed: boolean;
  readonly allowUnauthenticatedDonor: boolean;
  readonly isGroupEncrypted: boolean;
  readonly credentials: unknown;
};

function withoutKey(path: string, node: Without): CheckFinding {
  const next = 'bring the key of another node here, or make the first one: baton galera key --create';
  if (node.isKeyFileNamed) return problem('key', `${path} is named in [sst], and is not there`, next);
  if (node.credentials !== undefined)
    return warning('key', `${path} is not there, so wsrep_sst_auth is all that proves a node`, next);
  if (node.isGroupEncrypted)
    return warning('key', `${path} is not there, so whoever is in the encrypted group is trusted`, next);
  if (node.allowUnauthenticatedDonor)
    return warning(
      'key',
      `${path} is not there, and anybody can hand this node a state (allow-unauthenticated-donor)`,
      next,
    );
  return problem('key', `${path} is not there, and nothing else proves a donor: a transfer is refused`, next);
}

function tryStat(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
