import { stripVTControlCharacters, styleText } from 'node:util';
import { printable } from '@batondb/core/files/names';
import { textToBytes } from '@batondb/core/text/bytes';

/** How text may look: colours only where somebody sees them. */
export type Style = { readonly hasColor: boolean };

export type Look = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

/** Text in a colour, or as it is. */
export function paint(style: Style, look: Look, text: string): string {
  return style.hasColor ? styleText(look, text, { validateStream: false }) : text;
}

/** Columns a text takes, without its colours. Wide characters count as one. */
export function widthOf(text: string): number {
  return graphemesOf(stripVTControlCharacters(text)).length;
}

/** Cut to a width, with an ellipsis; only for text without colours. */
export function fit(text: string, width: number): string {
  const characters = graphemesOf(text);
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
  return text
    .split('\n')
    .map((line) => printable(textToBytes(line)))
    .join('\n');
}

/** The same for every text inside of a plain value, such as an event. */
export function printableValue<Value>(value: Value): Value {
  if (typeof value === 'string') return printableText(value) as Value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(printableValue) as Value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, printableValue(inner)])) as Value;
}

const segmenter = new Intl.Segmenter();

/** What a person takes for the characters of a text. */
function graphemesOf(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}
