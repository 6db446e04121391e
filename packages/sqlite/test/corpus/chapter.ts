/** Statements that run one after the other on a database of their own. */
export type Chapter = { readonly name: string; readonly statements: readonly string[] };

/** Every pair of two lists. */
export function pairs<A, B>(first: readonly A[], second: readonly B[]): (readonly [A, B])[] {
  return first.flatMap((a) => second.map((b) => [a, b] as const));
}

/** The statements of a text, one a line; empty lines are for the reader. A line that begins with a space goes on. */
export function lines(text: string): string[] {
  return text
    .replace(/\n\s+/g, '\n')
    .split('\n')
    .filter((line) => line.trim() !== '');
}
