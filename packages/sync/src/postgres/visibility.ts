// What a snapshot of PostgreSQL sees, by numbers of transactions as the stream has them: 32 bits, which wrap around.

export type Visibility = {
  /** True for a transaction whose effects are not in the snapshot. Top-level numbers only. */
  isInvisible(xid: number): boolean;
};

/** From the text of `pg_current_snapshot()`: `xmin:xmax:xip,xip…`, of 64 bits each. */
export function parseVisibility(text: string): Visibility {
  const [, xmaxText = '0', running = ''] = text.split(':');
  const xmax = low(xmaxText);
  const inProgress = new Set(
    running
      .split(',')
      .filter((each) => each !== '')
      .map(low),
  );
  // No two transactions that matter are 2^31 apart, so the sign of the difference says which is later.
  return { isInvisible: (xid) => inProgress.has(xid) || ((xid - xmax) | 0) >= 0 };
}

function low(text: string): number {
  return Number(BigInt(text) & 0xffff_ffffn);
}
