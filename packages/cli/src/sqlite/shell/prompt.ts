import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

// Lines that a person types, with their history. What was typed may hold secrets, so the file is its owner's alone.

const historyMax = 1000;

/** A prompt at the terminal. */
export interface Prompt extends Disposable {
  /** Resolves with the next line; undefined at the end of the input. */
  ask(mark: string): Promise<string | undefined>;
}

/** Opens a prompt. `interrupt` is what Ctrl-C does; it returns whether there was something to interrupt. */
export function openPrompt(historyPath: string, interrupt: () => boolean): Prompt {
  const { stdin: input, stdout: output } = process;
  const history = readHistory(historyPath);
  const lines = createInterface({ input, output, history, historySize: historyMax, removeHistoryDuplicates: true });
  const typed: string[] = [];
  let waiting: ((line: string | undefined) => void) | undefined;
  let isClosed = false;
  let mark = '';
  const give = (line: string | undefined): void => {
    waiting?.(line);
    waiting = undefined;
  };
  // What is typed while a statement runs is its turn later.
  lines.on('line', (line) => (waiting === undefined ? typed.push(line) : give(line)));
  lines.on('close', () => {
    isClosed = true;
    give(undefined);
  });
  lines.on('history', (now: string[]) => writeHistory(historyPath, now));
  lines.on('SIGINT', () => {
    const hadText = lines.line !== '';
    const wasBusy = interrupt();
    if (waiting === undefined) return;
    output.write('^C\n');
    if (!hadText && !wasBusy) output.write('(.quit or Ctrl-D ends the shell)\n');
    // An empty line takes what was typed away, and asks again.
    lines.write(null, { ctrl: true, name: 'e' });
    lines.write(null, { ctrl: true, name: 'u' });
    give('');
  });
  return {
    ask: (asked) => {
      const line = typed.shift();
      if (line !== undefined) return Promise.resolve(line);
      if (isClosed) return Promise.resolve(undefined);
      mark = asked;
      lines.setPrompt(mark);
      lines.prompt();
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    [Symbol.dispose]: () => lines.close(),
  };
}

/** The newest first, as readline has it. */
function readHistory(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .reverse();
  } catch {
    return [];
  }
}

/** A history that cannot be kept is none: nobody wants a statement to fail for it. */
function writeHistory(path: string, newestFirst: readonly string[]): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, `${newestFirst.toReversed().join('\n')}\n`, { mode: 0o600 });
  } catch {
    // As above.
  }
}
