import { type Stats, statSync } from 'node:fs';
import { readCertificates } from '../../certificates/read.ts';
import type { Call } from '../../contract/call.ts';
import type { ReadSettings } from '../../settings/settings.ts';
import { findKey } from '../../transfer-key.ts';
import { keyFingerprint, readKey } from '../key.ts';
import { groupIdOf, userIdOf } from '../users.ts';
import { type CheckFinding, findingOf, ok, problem, warning } from './finding.ts';
import type { Node } from './node.ts';

const others = 0o007;
const readByGroup = 0o040;
const readByOwner = 0o400;
const next = 'bring the key of another node here, or make the first one: baton galera key --create';

/** The key, who can read it, and what proves the nodes to one another without it. */
export function checkKey({ read, options }: Node): CheckFinding[] {
  if (read === undefined) return [];
  const path = read.settings.keyFile;
  const found = tryStat(path);
  if (found === undefined) return [withoutKey(path, options.call, read)];
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

/** What proves the nodes to one another instead. */
function withoutKey(path: string, call: Call, { settings, demand, server }: ReadSettings): CheckFinding {
  try {
    const certified = demand === undefined ? undefined : readCertificates(demand);
    const { origin } = findKey(call, settings, server, certified);
    return warning('key', `${path} is not there: all that proves a node is ${origin}`, next);
  } catch (error) {
    return { ...findingOf('key', error), nextStep: next };
  }
}

function tryStat(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
