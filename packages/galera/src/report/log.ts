import { type BatonError, toErrorRecord } from '@batondb/core/errors';
import type { Dialect, Role } from '../contract/call.ts';
import { formatLogLine, type LogLevel } from '../contract/log-line.ts';

/** What we say in the server's error log, in sentences that begin with who says it. */
export class ServerLog {
  readonly #dialect: Dialect;
  readonly #role: Role;
  readonly #write: (line: string) => void;

  /** `write` gets a line without its end. */
  constructor(dialect: Dialect, role: Role, write: (line: string) => void) {
    this.#dialect = dialect;
    this.#role = role;
    this.#write = write;
  }

  info(sentence: string): void {
    this.#say('info', sentence);
  }

  warn(sentence: string): void {
    this.#say('warning', sentence);
  }

  /** One line with the cause, and one with the next step when there is one. */
  fail(error: BatonError): void {
    const { code, message, hint, host } = toErrorRecord(error);
    this.#say('error', `the transfer has failed: ${host === undefined ? '' : `${host}: `}${message} (${code})`);
    if (hint !== undefined) this.#say('error', `next step: ${hint}`);
  }

  #say(level: LogLevel, sentence: string): void {
    this.#write(formatLogLine(this.#dialect, level, `baton ${this.#role}: ${sentence}`, new Date()));
  }
}
