/** All repetitions, or a seeded tenth of them. */
export const isSoak: boolean = process.env['BATON_SOAK'] === '1';
