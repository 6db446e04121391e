/** How far a comparison has come. */
export type VerifyProgress = {
  /** Taking a state of the source, waiting until the sink has come to it, following what was changed since, or comparing rows. */
  readonly phase: 'observing' | 'waiting' | 'following' | 'comparing';
  readonly tables: number;
  readonly tablesDone: number;
  /** Rows that were read on both sides, and how many there are, by the source's guess. */
  readonly rows: number;
  readonly estimatedRows: number;
  /** Over the whole of the comparison. */
  readonly rowsPerSecond: number;
};

/** Counts what a comparison does, for whoever wants to look now and then. */
export class VerifyTally {
  #phase: VerifyProgress['phase'] = 'observing';
  #tables = 0;
  #tablesDone = 0;
  #rows = 0;
  #estimatedRows = 0;
  #comparingSinceMs = 0;

  phase(phase: VerifyProgress['phase']): void {
    this.#phase = phase;
    this.#comparingSinceMs = Date.now();
  }

  expect(tables: number, estimatedRows: number): void {
    this.#tables = tables;
    this.#estimatedRows = estimatedRows;
  }

  compared(rows: number): void {
    this.#rows += rows;
  }

  tableDone(): void {
    this.#tablesDone++;
  }

  get progress(): VerifyProgress {
    const seconds = Math.max(0.001, (Date.now() - this.#comparingSinceMs) / 1000);
    return {
      phase: this.#phase,
      tables: this.#tables,
      tablesDone: this.#tablesDone,
      rows: this.#rows,
      estimatedRows: Math.max(this.#rows, this.#estimatedRows),
      rowsPerSecond: this.#rows / seconds,
    };
  }
}
