import { styleText } from 'node:util';

// What a person sees of the demo. On a terminal the progress is rewritten in place; elsewhere a line tells of it now and then.

type Look = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';

const margin = '   ';
const widthMax = 100;
/** Where no line can be rewritten. */
const plainProgressMs = 2_000;

/** The output of the demo. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #canRewrite: boolean;
  readonly #hasColor: boolean;
  #blockRows = 0;
  #plainAtMs = 0;

  constructor(stream: NodeJS.WriteStream, environment: NodeJS.ProcessEnv) {
    const isTerminal = stream.isTTY === true && environment['TERM'] !== 'dumb';
    this.#stream = stream;
    this.#canRewrite = isTerminal;
    this.#hasColor = isTerminal && !environment['NO_COLOR'];
  }

  get columns(): number {
    return Math.min(this.#stream.columns || 80, widthMax);
  }

  paint(look: Look, text: string): string {
    return this.#hasColor ? styleText(look, text, { validateStream: false }) : text;
  }

  /** A rule across the page with the step's number and what it shows, and a sentence or two on it. */
  step(number: number, title: string, about: string): void {
    const head = `── ${number} ── ${title} `;
    this.line('');
    this.line(this.paint('bold', head) + this.paint('dim', '─'.repeat(Math.max(0, this.columns - head.length))));
    for (const line of wrap(about, this.columns - margin.length)) this.line(margin + line);
    this.line('');
  }

  /** A command as a person would type it. */
  command(text: string): void {
    this.line(`${margin}${this.paint('dim', '$')} ${this.paint('cyan', text)}`);
  }

  /** Something that was done to the copy. */
  deed(text: string): void {
    this.#mark('yellow', '✗', text);
  }

  /** Something that baton says of itself. */
  news(text: string): void {
    this.#mark('cyan', '•', text);
  }

  /** Something that was checked and found true. */
  seen(text: string): void {
    this.#mark('green', '✓', text);
  }

  failure(text: string): void {
    this.#mark('red', '✗', text);
  }

  line(text: string): void {
    this.#blockRows = 0;
    this.#stream.write(`${text}\n`);
  }

  /** Shows lines in place of those that the last call showed, if nothing came in between. */
  progress(lines: readonly string[], nowMs: number): void {
    if (this.#canRewrite) {
      const back = this.#blockRows === 0 ? '' : `\x1b[${this.#blockRows}A\r\x1b[J`;
      this.#stream.write(back + lines.map((line) => `${margin}${line}\n`).join(''));
      this.#blockRows = lines.length;
    } else if (nowMs - this.#plainAtMs >= plainProgressMs) {
      this.#plainAtMs = nowMs;
      for (const line of lines) this.line(margin + line);
    }
  }

  /** Columns for a line of progress: the rest after the margin, and one that keeps terminals from wrapping. */
  get progressColumns(): number {
    return this.columns - margin.length - 1;
  }

  #mark(look: Look, mark: string, text: string): void {
    const [first = '', ...rest] = wrap(text, this.columns - margin.length - 2);
    this.line(`${margin}${this.paint(look, mark)} ${first}`);
    for (const line of rest) this.line(`${margin}  ${line}`);
  }
}

/** Cuts a text at blanks into lines of at most `width` characters; a longer word keeps its line. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
