import { formatEndpoint, parseEndpoint } from '@batondb/copy/endpoint';
import { quoteWord } from '@batondb/core/text/words';

/** Options that take no value: a word after one of these may be an operand. */
const flags = new Set(['--one-file-system', '--sudo', '--dry-run', '--json', '--quiet', '-q', '--verbose', '-v', '--']);

/**
 * The command line that continues a copy: the one that was given, without the targets that are complete, since those exist now
 * and would be refused. A list of targets is replaced by those of it that are left. `targets` and `done` are as formatEndpoint
 * writes them.
 */
export function rerunCommandLine(
  words: readonly string[],
  targets: readonly string[],
  done: ReadonlySet<string>,
): string {
  const named = new Set(words.map(endpointText));
  const ofLists = targets.filter((target) => !named.has(target) && !done.has(target));
  const left =
    done.size === 0 ? words : words.flatMap((word, index) => (isOperand(words, index) ? rest(word) : [word]));
  return ['baton', ...left.map(quoteWord)].join(' ');

  function rest(word: string): readonly string[] {
    // The first list stands for all of them: no target may be named twice.
    if (word.startsWith('@')) return ofLists.splice(0);
    const text = endpointText(word);
    return text !== undefined && done.has(text) ? [] : [word];
  }
}

/** Whether a word is no option and no option's value. In doubt it is none, and stays. */
function isOperand(words: readonly string[], index: number): boolean {
  const [word = '', before = ''] = [words[index], words[index - 1]];
  const isValue = before.startsWith('-') && !before.includes('=') && !flags.has(before);
  return !isValue && !word.startsWith('-');
}

function endpointText(word: string): string | undefined {
  try {
    return formatEndpoint(parseEndpoint(word));
  } catch {
    return undefined;
  }
}
