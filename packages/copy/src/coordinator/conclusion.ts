import type { SourceCheck } from './source-check.ts';
import type { TargetState } from './target-state.ts';

// What follows when every target is done or failed.

/**
 * Compares what the targets have received with what the source says (R4). Returns those that failed by it. Nothing can be said of a
 * source that changed, nor, by its digest, of a copy that an earlier run published.
 */
export async function compareWithSource(
  states: readonly TargetState[],
  check: SourceCheck,
  hasChanged: () => boolean,
): Promise<TargetState[]> {
  const compared = states.filter(({ target, result }) => result?.state === 'done' && !target.inspection.published);
  if (compared.length === 0) return [];
  const digest = await check.digest();
  if (hasChanged()) return [];
  return compared.filter((state) => {
    if (state.result === undefined) return false;
    state.result = check.compare(state.result, digest);
    return state.result.state === 'failed';
  });
}

/**
 * Has the targets forget what they are copies of, where no rerun has to find out any more that they are done: all are, or what one
 * has is not to be relied on.
 */
export async function conclude(states: readonly TargetState[]): Promise<void> {
  const published = states.filter(({ treeDigest }) => treeDigest !== undefined);
  const isAllDone = states.every(({ result }) => result?.state === 'done');
  const concluded = isAllDone ? published : published.filter(({ result }) => result?.state === 'failed');
  // A host that is gone by now keeps its note, which does no harm to the copy beside it.
  await Promise.allSettled(concluded.map(({ target }) => target.session.request('conclude', {})));
}
