import { isAscii } from 'node:buffer';
import { linesLimits } from './limits.ts';

/** Lines on their way to bytes. They are encoded many at a time, which costs less than one by one, and few enough that what they were made of is soon forgotten. */
export class LineBytes {
  readonly #onPiece: (bytes: Buffer) => void;
  #text = '';
  #pieces: Buffer[] = [];

  /** `onPiece` is told of all bytes in their order. */
  constructor(onPiece: (bytes: Buffer) => void = () => {}) {
    this.#onPiece = onPiece;
  }

  add(text: string): void {
    this.#text += text;
    if (this.#text.length >= linesLimits.encodedCharacters) this.encode();
  }

  /** Lines that are bytes already. */
  addBytes(bytes: Buffer): void {
    if (!isAscii(bytes)) return this.add(bytes.toString());
    this.encode();
    this.#put(bytes);
  }

  /** What was added becomes bytes now. */
  encode(): void {
    if (this.#text === '') return;
    const bytes = bytesOf(this.#text);
    this.#text = '';
    this.#put(bytes);
  }

  /** What was added since the last call. */
  take(): Buffer {
    this.encode();
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  /** What was added since it was last taken does not count. */
  clear(): void {
    this.#text = '';
    this.#pieces = [];
  }

  #put(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#onPiece(bytes);
  }
}

/**
 * JSON allows characters in a string that many readers take for the end of a line (Node's readline does). They go as escapes, which are the same to a
 * parser. What JSON itself escapes is below U+0020.
 */
function bytesOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  // As many bytes as characters: all of it is ASCII, and has none of them.
  if (bytes.length === text.length || !lineEnds.test(text)) return bytes;
  return Buffer.from(text.replace(eachLineEnd, escaped));
}

const lineEnds = /[\u0085\u2028\u2029]/;
const eachLineEnd = new RegExp(lineEnds, 'g');

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
