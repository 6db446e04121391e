import { stripVTControlCharacters, styleText } from 'node:util';

/** How text may look: colours only where somebody sees them. */
export type Style = { readonly hasColor: boolean };

export type Look = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

/** Text in a colour, or as it is. */
export function paint(style: Style, look: Look, text: string): string {
  return style.hasColor ? styleText(look, text, { validateStream: false }) : text;
}

/** Columns a text takes, without its colours. Wide characters count as one. */
export function widthOf(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** Cut to a width, with an ellipsis; only for text without colours. */
export function fit(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
}

/** Filled with blanks to a width. */
export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

/**
 * Text from other hosts without what a terminal would obey: control characters become \xNN, line ends stay. A file name or
 * a login banner must not move the cursor or change the title.
 */
export function printableText(text: string): string {
  return text.replace(/[^\P{Cc}\n]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** The same for every text inside of a plain value, such as an event. */
export function printableValue<Value>(value: Value): Value {
  if (typeof value === 'string') return printableText(value) as Value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(printableValue) as Value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, printableValue(inner)])) as Value;
}
