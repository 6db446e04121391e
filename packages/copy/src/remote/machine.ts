import { BatonError } from '@batondb/core/errors';
import { piecesFor } from '../bundle/bundle.ts';
import type { Pieces } from '../bundle/pieces.ts';

// What a host says of itself, `PROCESSOR LIBRARY VERSION`, and what fits it.

/** What Node 24 is built for: its BUILDING.md names glibc 2.28 as the oldest. */
const glibcMin = { major: 2, minor: 28 };
const processors = new Map([
  ['x86_64', 'x64'],
  ['aarch64', 'arm64'],
] as const);
const hint = 'install baton there by other means, and name it with --agent';

/** The pieces for a host, as `uname -m` and its C library describe it. Throws UNSUPPORTED when no agent of ours runs there. */
export function piecesForMachine(text: string): Pieces {
  const [machine = '', library = '', version = ''] = text.split(' ');
  const processor = processors.get(machine as 'x86_64');
  if (processor === undefined)
    throw unfit(`its processor is ${machine}, and there are agents for ${[...processors.keys()].join(' and ')}`);
  if (library !== 'glibc')
    throw unfit(`its C library is ${library === 'musl' ? 'musl' : 'not glibc'}, and an agent needs glibc`);
  const [major = glibcMin.major, minor = glibcMin.minor] = version.split('.').filter(Boolean).map(Number);
  if (major < glibcMin.major || (major === glibcMin.major && minor < glibcMin.minor))
    throw unfit(`its glibc is ${version}, and an agent needs ${glibcMin.major}.${glibcMin.minor}`);
  const pieces = piecesFor(processor);
  if (pieces instanceof BatonError) throw pieces;
  return pieces;
}

function unfit(why: string): BatonError {
  return new BatonError('UNSUPPORTED', `baton cannot be carried there: ${why}`, { hint });
}
