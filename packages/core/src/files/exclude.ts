import { BatonError } from '../errors.ts';

// Which paths a user leaves out: the subset of gitignore(5) that needs no negation. Not checked: patterns that match nothing.

/** Tells whether a path below the source is left out. Components are joined by `/`, without one in front. */
export type ExcludeMatcher = (path: string, isDirectory: boolean) => boolean;

type Rule = { readonly expression: RegExp; readonly directoriesOnly: boolean; readonly anchored: boolean };

function literal(character: string): string {
  // Between the brackets of a set it is a range; outside of them, a regular expression allows no backslash before it.
  if (character === '-') return '\\x2d';
  return /[\\^$.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}

// A bracket expression from its `[` on; undefined when it is never closed, and then it is an ordinary character.
function bracket(pattern: string, start: number): { readonly source: string; readonly end: number } | undefined {
  let at = start + 1;
  const negated = pattern[at] === '!' || pattern[at] === '^';
  if (negated) at += 1;
  const members: string[] = [];
  for (let first = true; at < pattern.length; first = false) {
    if (pattern[at] === ']' && !first) {
      return { source: `(?!/)[${negated ? '^' : ''}${members.join('')}]`, end: at + 1 };
    }
    if (pattern[at] === '\\' && at + 1 < pattern.length) at += 1;
    const character = String.fromCodePoint(pattern.codePointAt(at)!);
    const isRange = character === '-' && !first && pattern[at + 1] !== ']' && pattern[at - 1] !== '\\';
    members.push(isRange ? '-' : literal(character));
    at += character.length;
  }
  return undefined;
}

function toSource(pattern: string): string {
  let source = '';
  for (let at = 0; at < pattern.length; ) {
    const isComponentStart = at === 0 || pattern[at - 1] === '/';
    if (isComponentStart && pattern.startsWith('**/', at)) {
      source += '(?:[^/]+/)*';
      at += 3;
    } else if (isComponentStart && pattern.slice(at) === '**') {
      source += '.+';
      at += 2;
    } else if (pattern[at] === '*') {
      while (pattern[at] === '*') at += 1;
      source += '[^/]*';
    } else if (pattern[at] === '?') {
      source += '[^/]';
      at += 1;
    } else {
      const set = pattern[at] === '[' ? bracket(pattern, at) : undefined;
      if (set !== undefined) {
        source += set.source;
        at = set.end;
        continue;
      }
      if (pattern[at] === '\\' && at + 1 < pattern.length) at += 1;
      const character = String.fromCodePoint(pattern.codePointAt(at)!);
      source += literal(character);
      at += character.length;
    }
  }
  return source;
}

function compile(pattern: string): Rule {
  if (pattern.startsWith('!')) {
    throw new BatonError('USAGE', `the exclude pattern ${pattern} starts with !, which would include again`, {
      hint: 'leave it out, or write \\! for a name that starts with !',
    });
  }
  const directoriesOnly = pattern.endsWith('/');
  const body = directoriesOnly ? pattern.slice(0, -1) : pattern;
  const anchored = body.includes('/');
  const source = toSource(body.startsWith('/') ? body.slice(1) : body);
  if (source === '')
    throw new BatonError('USAGE', `the exclude pattern '${pattern}' names nothing`, {
      hint: 'give a name such as *.log, or /cache for one directly in the source',
    });
  try {
    return { expression: new RegExp(`^${source}$`, 'su'), directoriesOnly, anchored };
  } catch (cause) {
    throw new BatonError('USAGE', `the exclude pattern ${pattern} cannot be read`, {
      hint: 'look at its [ ] ranges',
      cause,
    });
  }
}

/**
 * Compiles patterns: `name` and `*.log` match at any depth, a pattern with a slash in front or inside is anchored at the source,
 * a slash at the end matches directories only, `**` spans directories; `?`, `[abc]`, `[!a-z]` and `\` as in a shell. What lies
 * in an excluded directory is not asked for: the walk does not enter it. Throws BatonError USAGE.
 */
export function compileExcludes(patterns: readonly string[]): ExcludeMatcher {
  const rules = patterns.map(compile);
  return (path, isDirectory) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return rules.some(
      (rule) => (isDirectory || !rule.directoriesOnly) && rule.expression.test(rule.anchored ? path : name),
    );
  };
}
