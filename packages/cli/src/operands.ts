import { readFileSync } from 'node:fs';
import type { CopyPlan } from '@batondb/copy';
import { type Endpoint, formatEndpoint, formatHost, nameOfCopy, parseEndpoint } from '@batondb/copy/endpoint';
import { BatonError } from '@batondb/core/errors';
import { bytesToText } from '@batondb/core/text/bytes';

// From the operands of a command line to endpoints.

/** The plan for standard input as the source: it has the name of the copy and no place. Throws USAGE and BAD_ENDPOINT. */
export function readStdinPlan(name: string, targets: readonly string[]): CopyPlan {
  const readsList = targets.includes('@-');
  if (readsList) throw new BatonError('USAGE', 'standard input cannot be the source and the list of targets');
  return readPlan(`./${name}`, targets, undefined);
}

/** Reads SOURCE and TARGET…, lists of targets included. Throws USAGE and BAD_ENDPOINT. */
export function readPlan(source: string, targets: readonly string[], as: string | undefined): CopyPlan {
  const plan = { source: parseEndpoint(source), targets: targets.flatMap(readTarget) };
  if (targets.length === 0) {
    throw new BatonError('USAGE', `there is no target to copy ${source} to`, { hint: 'see: baton copy --help' });
  }
  if (plan.targets.length === 0) throw new BatonError('USAGE', 'the lists of targets hold no target');
  if (as === undefined && nameOfCopy(plan.source) === undefined) {
    throw new BatonError('USAGE', `the source ${formatEndpoint(plan.source)} has no name of its own`, {
      hint: 'name the copy with --as NAME',
    });
  }
  const seen = new Set<string>();
  for (const target of plan.targets) {
    const text = formatEndpoint(target);
    if (seen.has(text)) throw new BatonError('USAGE', `the target ${text} is given twice`);
    seen.add(text);
  }
  return plan;
}

/** The remote hosts among some endpoints: by each name a person may give one (with its user or without), its `host`. */
export function hostsByName(endpoints: readonly Endpoint[]): Map<string, string> {
  const hosts = new Map<string, string>();
  for (const { host, user } of endpoints) {
    if (host === undefined) continue;
    for (const name of [host, formatHost({ host, user: undefined }), formatHost({ host, user })]) hosts.set(name, host);
  }
  return hosts;
}

/** One target, or those of `@FILE`; a local directory whose name begins with @ is written `./@name`. */
function readTarget(operand: string): Endpoint[] {
  return operand.startsWith('@')
    ? parseHostsFile(readHostsFile(operand.slice(1)), operand.slice(1))
    : [parseEndpoint(operand)];
}

function readHostsFile(file: string): string {
  try {
    // Bytes: a path in it need not be UTF-8.
    return bytesToText(readFileSync(file === '-' ? 0 : file));
  } catch (error) {
    throw new BatonError('USAGE', `cannot read the list of targets '${file}': ${(error as Error).message}`, {
      hint: 'a directory whose name begins with @ is written ./@name',
      cause: error,
    });
  }
}

/**
 * The targets of a list: one per line, blank lines and lines that begin with `#` are skipped. Every target names a host,
 * since a list that mixes hosts and local paths is a list with a typo. Throws BAD_ENDPOINT with file and line.
 */
export function parseHostsFile(content: string, file: string): Endpoint[] {
  const targets: Endpoint[] = [];
  for (const [index, line] of content.split('\n').entries()) {
    const text = line.trim();
    if (text !== '' && !text.startsWith('#')) targets.push(parseListed(text, `${file}:${index + 1}`));
  }
  return targets;
}

function parseListed(text: string, place: string): Endpoint {
  try {
    const endpoint = parseEndpoint(text);
    if (endpoint.host !== undefined) return endpoint;
  } catch (error) {
    if (!(error instanceof BatonError)) throw error;
    throw new BatonError(
      error.code,
      `${place}: ${error.message}`,
      error.hint === undefined ? {} : { hint: error.hint },
    );
  }
  throw new BatonError('BAD_ENDPOINT', `${place}: '${text}' names no host`, {
    hint: 'a line of the list is [user@]host:directory',
  });
}
