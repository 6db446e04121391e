/** How much a second, over the last whole seconds. */
export class Rate {
  readonly #seconds = 10;
  /** Sums by second; the newest last. */
  readonly #sums: { readonly second: number; sum: number }[] = [];

  add(amount: number, nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    const last = this.#sums.at(-1);
    if (last?.second === second) {
      last.sum += amount;
      return;
    }
    this.#sums.push({ second, sum: amount });
    if (this.#sums.length > this.#seconds + 1) this.#sums.shift();
  }

  /** The second that is not over yet does not count. */
  perSecond(nowMs: number): number {
    const second = Math.floor(nowMs / 1000);
    const counted = this.#sums.filter((entry) => entry.second < second && entry.second >= second - this.#seconds);
    return counted.reduce((total, { sum }) => total + sum, 0) / this.#seconds;
  }
}
