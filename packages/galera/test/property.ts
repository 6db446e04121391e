/** Settings of a property: how often it is tried, ten times as often in a soak, and the seed of the run where one is given. */
export function runs(numRuns: number): { numRuns: number; seed?: number } {
  const factor = process.env['BATON_SOAK'] === '1' ? 10 : 1;
  const given = process.env['BATON_SEED'];
  // fast-check prints the seed when the property fails.
  return { numRuns: numRuns * factor, ...(given === undefined || given === '' ? {} : { seed: Number(given) | 0 }) };
}
