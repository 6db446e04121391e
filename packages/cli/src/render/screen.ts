// The block of lines at the end of a terminal that is rewritten in place. Pure: what to write is returned as text.

const hideCursor = '\x1b[?25l';
export const showCursor = '\x1b[?25h';
const clearToEnd = '\x1b[J';

/** Remembers only how many lines the block has. */
export class Screen {
  #blockRows = 0;

  /** What to write so that `lines` stand above the block for good and the block becomes `block`. */
  draw(lines: readonly string[], block: readonly string[]): string {
    const text = [...lines, ...block].map((line) => `${line}\n`).join('');
    const isFirst = this.#blockRows === 0 && block.length > 0;
    const written = `${isFirst ? hideCursor : ''}${this.#toStart()}${text}`;
    this.#blockRows = block.length;
    return written;
  }

  /** What to write so that the block is gone and the cursor is back. */
  end(): string {
    const written = this.#toStart() + showCursor;
    this.#blockRows = 0;
    return written;
  }

  #toStart(): string {
    return this.#blockRows === 0 ? '' : `\x1b[${this.#blockRows}A\r${clearToEnd}`;
  }
}
