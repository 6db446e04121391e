import { BatonError } from '@batondb/core/errors';
import { isSafeName, printable } from '@batondb/core/files/names';
import { limits } from '@batondb/core/limits';
import { textToBytes } from '@batondb/core/text/bytes';
import { type Endpoint, formatEndpoint, nameOfCopy } from './endpoint.ts';
import type { CopyOptions } from './options.ts';

/** What is copied, and where to. */
export type CopyPlan = { readonly source: Endpoint; readonly targets: readonly Endpoint[] };

/** A plan with what follows from it. */
export type ResolvedPlan = CopyPlan & {
  /** The source as the user would write it. */
  readonly sourceText: string;
  /** The name of the copy in every target directory. */
  readonly name: Uint8Array;
};

/** Of the stream while it is received: what is unpacked of it has names of its own. */
const backupName = Buffer.from('backup.xbstream');

/** Works out the name of the copy; USAGE when there is none. */
export function resolvePlan(plan: CopyPlan, { as, input }: Pick<CopyOptions, 'as' | 'input'>): ResolvedPlan {
  const { source } = plan;
  if (input.kind === 'stdin' && source.host !== undefined) {
    throw new BatonError('USAGE', `standard input is on this machine, and not on ${source.host}`);
  }
  const sourceText = input.kind === 'stdin' ? 'standard input' : formatEndpoint(source);
  if (input.kind === 'mariadb') return { ...plan, sourceText, name: backupName };
  const name = as === undefined ? nameOfCopy(source) : textToBytes(as);
  if (name === undefined) {
    throw new BatonError('USAGE', `the source ${sourceText} has no name of its own`, {
      hint: 'name the copy with --as',
    });
  }
  if (!isSafeName(name)) {
    throw new BatonError('USAGE', `${printable(name)} is no name of a copy`, {
      hint: 'a name has 1 to 255 bytes and no slash, and is neither . nor ..',
    });
  }
  return { ...plan, sourceText, name };
}

/** Refuses options that cannot be combined with the type. */
export function checkOptions({ type, as, exclude, input }: CopyOptions): void {
  const stream = input.kind === 'tree' ? undefined : 'a stream (--stdin, --exec)';
  if (type === 'update' && stream !== undefined) {
    throw new BatonError('USAGE', `${stream} cannot be combined with --update`, {
      hint: 'what can be read once only is sent whole',
    });
  }
  if (type !== 'decompress') return;
  const other = as !== undefined ? '--as' : exclude.length > 0 ? '--exclude' : stream;
  if (other === undefined) return;
  throw new BatonError('USAGE', `${other} cannot be combined with --type decompress`, {
    hint: 'an archive is unpacked as it is, into the target directory itself',
  });
}

/** Refuses plans that no host has to be asked about. */
export function checkPlan(plan: CopyPlan): void {
  if (plan.targets.length === 0) throw new BatonError('USAGE', 'there is no target');
  if (plan.targets.length > limits.hostsMax) {
    throw new BatonError('LIMIT', `${plan.targets.length} targets are named; the limit is ${limits.hostsMax}`);
  }
  const seen = new Set<string>();
  for (const target of plan.targets) {
    const name = formatEndpoint(target);
    if (seen.has(name)) throw new BatonError('USAGE', `the target ${name} is named twice`);
    seen.add(name);
  }
}
