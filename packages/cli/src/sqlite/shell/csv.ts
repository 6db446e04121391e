import { BatonError } from '@batondb/core/errors';

// Rows of a CSV file: RFC 4180, with line ends of one character too. Bytes in pieces in, rows of texts out.

/** Reads rows from pieces of text. Throws USAGE for a quote that is never closed: half of the file would be one value. */
export async function* readCsv(pieces: AsyncIterable<string>): AsyncGenerator<readonly string[], void> {
  let row: string[] = [];
  let count = 0;
  let cell = '';
  let isQuoted = false;
  /** The last character was a quote within quotes: the end of the value, or half of a quote that is doubled. */
  let isAfterQuote = false;
  let isAfterReturn = false;
  for await (const piece of pieces) {
    for (const character of piece) {
      if (isQuoted && !isAfterQuote) {
        if (character === '"') isAfterQuote = true;
        else cell += character;
        continue;
      }
      if (isAfterQuote && character === '"') {
        cell += '"';
        isAfterQuote = false;
        continue;
      }
      const isLineEnd = character === '\n' || character === '\r';
      if (character === '\n' && isAfterReturn) {
        isAfterReturn = false;
        continue;
      }
      isAfterReturn = character === '\r';
      if (character === ',' || isLineEnd) {
        row.push(cell);
        cell = '';
        isQuoted = false;
        isAfterQuote = false;
        if (!isLineEnd) continue;
        if (row.length > 1 || row[0] !== '') yield row;
        count += 1;
        row = [];
      } else if (character === '"' && cell === '' && !isQuoted) isQuoted = true;
      else cell += character;
    }
  }
  if (isQuoted && !isAfterQuote)
    throw new BatonError('USAGE', `the quote that begins row ${count + 1} is never closed`, {
      hint: 'double quotes within values',
    });
  if (cell !== '' || row.length > 0) yield [...row, cell];
}
