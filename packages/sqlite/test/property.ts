/** All repetitions, or a seeded tenth of them. */
export const isSoak: boolean = process.env['BATON_SOAK'] === '1';

/** Settings of a property: how often it is tried, ten times as often in a soak, and the seed of the run where one is given. */
export function runs(numRuns: number): { numRuns: number; seed?: number } {
  const given = process.env['BATON_SEED'];
  // fast-check prints the seed when the property fails.
  const seed = given === undefined || given === '' ? {} : { seed: Number(given) | 0 };
  return { numRuns: numRuns * (isSoak ? 10 : 1), ...seed };
}
