// Where one statement of a text ends and the next begins, by the rule of sqlite3_complete(): at a semicolon outside of quotes and
// comments, and of a CREATE TRIGGER at the semicolon behind its END. https://www.sqlite.org/c3ref/complete.html

/** How far into a statement a text has come, as far as it matters for where it ends. */
type Stage = 'start' | 'explain' | 'create' | 'plain' | 'trigger' | 'trigger-semicolon' | 'trigger-end';

/** What the next character is part of. A quote is named by the character that ends it. */
type Inside = 'code' | 'line comment' | 'block comment' | "'" | '"' | '`' | ']';

const quotes: Readonly<Record<string, Inside>> = { "'": "'", '"': '"', '`': '`', '[': ']' };
const wordCharacter = /[\w$\u0080-\uffff]/;
const blank = /\s/;

/** Takes a text in pieces, and gives its statements. Each character is looked at once. */
export class StatementSplitter {
  #text = '';
  #at = 0;
  #inside: Inside = 'code';
  #stage: Stage = 'start';
  #word = '';
  #hasCode = false;

  /** What belongs to no whole statement yet. */
  get pending(): string {
    return this.#text;
  }

  /** Whether nothing but spaces and comments is pending, and no comment is open. */
  get isBlank(): boolean {
    return !this.#hasCode && (this.#inside === 'code' || this.#inside === 'line comment');
  }

  /** Adds a piece, which does not end within a comment's first or last mark: a whole line. Returns the statements that end in it. */
  push(piece: string): string[] {
    this.#text += piece;
    const statements: string[] = [];
    for (; this.#at < this.#text.length; this.#at++) {
      if (!this.#step(this.#text[this.#at] ?? '')) continue;
      statements.push(this.#text.slice(0, this.#at + 1).trim());
      this.#text = this.#text.slice(this.#at + 1);
      this.#at = -1;
      this.#hasCode = false;
    }
    return statements;
  }

  /** Forgets what is pending. */
  clear(): void {
    this.#text = '';
    this.#at = 0;
    this.#inside = 'code';
    this.#stage = 'start';
    this.#word = '';
    this.#hasCode = false;
  }

  /** Looks at a character; true when it ends a statement. */
  #step(character: string): boolean {
    if (this.#inside !== 'code') {
      this.#leave(character);
      return false;
    }
    if (wordCharacter.test(character)) {
      this.#word += character;
      this.#hasCode = true;
      return false;
    }
    this.#endWord();
    const next = this.#text[this.#at + 1];
    if (character === '-' && next === '-') this.#inside = 'line comment';
    else if (character === '/' && next === '*') {
      this.#inside = 'block comment';
      // So that /*/ does not end it.
      this.#at += 1;
    } else if (character === ';') return this.#semicolon();
    else if (!blank.test(character)) {
      this.#hasCode = true;
      this.#inside = quotes[character] ?? 'code';
      this.#advance('');
    }
    return false;
  }

  #leave(character: string): void {
    const isEnd =
      this.#inside === 'line comment'
        ? character === '\n'
        : this.#inside === 'block comment'
          ? character === '/' && this.#text[this.#at - 1] === '*'
          : character === this.#inside;
    if (isEnd) this.#inside = 'code';
  }

  #endWord(): void {
    if (this.#word === '') return;
    this.#advance(this.#word.toLowerCase());
    this.#word = '';
  }

  /** A statement of nothing but a semicolon is none: it is passed over. */
  #semicolon(): boolean {
    if (this.#stage === 'trigger' || this.#stage === 'trigger-semicolon') {
      this.#stage = 'trigger-semicolon';
      return false;
    }
    this.#stage = 'start';
    if (this.#hasCode) return true;
    this.#text = this.#text.slice(this.#at + 1);
    this.#at = -1;
    return false;
  }

  /** A word of lower case, or an empty text for anything else that is code. */
  #advance(word: string): void {
    switch (this.#stage) {
      case 'start':
        this.#stage = word === 'explain' ? 'explain' : word === 'create' ? 'create' : 'plain';
        return;
      case 'explain':
        if (word === 'create') this.#stage = 'create';
        else if (word !== 'query' && word !== 'plan') this.#stage = 'plain';
        return;
      case 'create':
        if (word === 'trigger') this.#stage = 'trigger';
        else if (word !== 'temp' && word !== 'temporary') this.#stage = 'plain';
        return;
      case 'trigger-semicolon':
        this.#stage = word === 'end' ? 'trigger-end' : 'trigger';
        return;
      case 'trigger-end':
        this.#stage = 'trigger';
        return;
      default:
    }
  }
}
