import { limits } from '../limits.ts';
import { encodeClaim } from '../protocol/claim.ts';
import { frameTypes } from '../protocol/frame.ts';
import type { Link } from './link.ts';
import { Permits } from './permits.ts';
import type { StagedTree } from './staged-tree.ts';

/**
 * Tells a sender, unit by unit, what there is in place of those that are lacking, and stays ahead of what arrives by a bounded number.
 * Resolves when all are claimed; rejects when the connection breaks or `signal` aborts.
 */
export async function claimUnits(tree: StagedTree, link: Link, signal: AbortSignal): Promise<void> {
  const permits = new Permits(limits.claimsMax / 2);
  const unanswered = new Set<number>();
  using _watch = tree.watch((unit) => {
    if (unanswered.delete(unit)) permits.give();
  });
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  const next = { unit: 0 };
  const claimer = async () => {
    for (;;) {
      await Promise.race([permits.take(), aborted]);
      while (next.unit < tree.layout.unitCount && tree.has(next.unit)) next.unit++;
      if (next.unit === tree.layout.unitCount) return;
      const unit = next.unit++;
      unanswered.add(unit);
      await link.write(frameTypes.claim, encodeClaim({ unit, digests: await tree.claim(unit) }));
    }
  };
  await Promise.all(Array.from({ length: tree.workers }, claimer));
}
