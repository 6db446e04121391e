import type { Run } from './bench.ts';

export type Spread = { readonly median: number; readonly min: number; readonly max: number };

/** Median and extremes; undefined of nothing. */
export function spread(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (low === undefined || high === undefined || min === undefined || max === undefined) return undefined;
  return { median: (low + high) / 2, min, max };
}

/**
 * How many times `method` is the base, as the median of the ratios within each round: what disturbs the machine for a
 * while disturbs both.
 */
export function ratio(method: readonly Run[], base: readonly Run[], value: (run: Run) => number): number | undefined {
  const ratios = method.flatMap((run) => {
    const other = base.find(({ round }) => round === run.round);
    return other === undefined ? [] : [value(run) / value(other)];
  });
  return spread(ratios)?.median;
}
