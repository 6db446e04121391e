import { readSettings } from '../../settings/settings.ts';
import { type NodeWords, readNodeOptions } from '../node-options.ts';
import { checkCertificates } from './certificates.ts';
import { checkConfiguration } from './configuration.ts';
import { checkDump } from './dump.ts';
import { type CheckFinding, findingOf, problem } from './finding.ts';
import { checkPrograms, checkScript } from './installation.ts';
import { checkKey } from './key-file.ts';
import { checkLogin } from './login.ts';
import { connectIfRunning, installedVersion, type Node, serverPath } from './node.ts';
import { checkPort, checkStorage } from './storage.ts';

export type { CheckFinding } from './finding.ts';

type Check = (node: Node, signal: AbortSignal) => Promise<CheckFinding[]> | CheckFinding[];

const checks: readonly (readonly [string, Check])[] = [
  ['programs', checkPrograms],
  ['script', checkScript],
  ['key', checkKey],
  ['certificates', checkCertificates],
  ['login', checkLogin],
  ['storage', checkStorage],
  ['port', checkPort],
  ['configuration', checkConfiguration],
  ['dump', checkDump],
];

/**
 * Examines a node, whether its server runs or not, and changes nothing of it: what keeps a transfer from working is an error, with the next step.
 * Throws USAGE for words that are no options of a server, and the signal's reason.
 */
export async function checkNode(words: NodeWords, signal: AbortSignal): Promise<CheckFinding[]> {
  const options = await readNodeOptions(words, signal);
  const findings: CheckFinding[] = [];
  const tried = async <T>(subject: string, attempt: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      findings.push(findingOf(subject, error));
      return undefined;
    }
  };
  const read = await tried('[sst]', () => readSettings(options.call, signal));
  const server = await tried('server', () => connectIfRunning(options.socketPath, signal));
  const version = server?.version ?? (await installedVersion(signal));
  const searchPath = await serverPath(server, signal);
  const node: Node = { options, read, server, version, searchPath };
  if (server !== undefined && server.dataDirectory !== options.dataDirectory) {
    const text = `${options.socketPath} is of a server on ${server.dataDirectory}, and the options say ${options.dataDirectory}`;
    findings.push(problem('server', text, 'name the server that is meant by --defaults-file=FILE or --socket=PATH'));
  }
  for (const [subject, check] of checks) {
    findings.push(...((await tried(subject, async () => await check(node, signal))) ?? []));
  }
  return findings;
}
