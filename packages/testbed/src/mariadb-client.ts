import { mustRun } from './processes.ts';

/** Statements of a test, through the client program and a socket, as root, who needs no password there. */
export class MariadbClient {
  readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** Runs statements; rows as lists of fields. Throws what the client says, and when it takes longer than `timeoutMs` (default: 60,000). */
  async sql(statements: string, timeoutMs?: number): Promise<string[][]> {
    const argv = ['mariadb', '--no-defaults', '--batch', '--skip-column-names', `--socket=${this.socketPath}`];
    const { stdout } = await mustRun(argv, { input: statements, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'));
  }

  /** The first field of the first row; '' when there is none. */
  async value(statement: string, timeoutMs?: number): Promise<string> {
    return (await this.sql(statement, timeoutMs))[0]?.[0] ?? '';
  }
}
