/** The first paths of something that may happen millions of times, and how often it did. */
export type PathSample = { readonly first: readonly string[]; readonly total: number };

/** Enough for a person to see a pattern, little enough for a message between hosts. */
const pathsMax = 100;

/** Collects a {@link PathSample}. */
export class PathSampler {
  readonly #first: string[] = [];
  #total = 0;

  add(path: string): void {
    this.#total += 1;
    if (this.#first.length < pathsMax) this.#first.push(path);
  }

  sample(): PathSample {
    return { first: [...this.#first], total: this.#total };
  }
}
