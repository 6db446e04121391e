import { BatonError } from '../errors.ts';

// The quoting of a POSIX shell (IEEE Std 1003.1, 2.2), as far as it says where a word ends: no expansion, no operators.

/**
 * Splits a command into words: blanks part them, single quotes keep everything, double quotes and backslashes as a shell
 * has them. `ssh -F 'my config'` is three words. Throws USAGE for a quote that does not end.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  const part =
    /(?<blank>[ \t\n]+)|'(?<single>[^']*)'|"(?<double>(?:[^"\\]|\\[\s\S])*)"|\\(?<escaped>[\s\S])|(?<plain>[^ \t\n'"\\]+)/y;
  let word: string | undefined;
  while (part.lastIndex < text.length) {
    const groups = part.exec(text)?.groups;
    if (groups === undefined) throw new BatonError('USAGE', `a quote or backslash does not end in: ${text}`);
    if (groups['blank'] === undefined) {
      word = (word ?? '') + literal(groups);
    } else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  return word === undefined ? words : [...words, word];
}

function literal(groups: Record<string, string | undefined>): string {
  // Between double quotes a backslash is itself, except before one of these.
  const double = groups['double']?.replace(/\\([\\"$`])/g, '$1').replace(/\\\n/g, '');
  const escaped = groups['escaped'] === '\n' ? '' : groups['escaped'];
  return groups['single'] ?? double ?? escaped ?? groups['plain'] ?? '';
}

/** A word as a shell reads it back: as it is where that is safe, else in single quotes. */
export function quoteWord(word: string): string {
  return /^[A-Za-z0-9_/.,:+@%^=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
