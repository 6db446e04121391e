import type { SqlValue } from '@batondb/sqlite';

// Names and values as SQL has them.

/** A name in quotes. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text in quotes. SQL has no way to write a NUL in one, so such a text is written as its bytes. */
export function quoteText(text: string): string {
  if (text.includes('\0')) return `CAST(${bytesLiteral(Buffer.from(text))} AS TEXT)`;
  return `'${text.replaceAll("'", "''")}'`;
}

/** A value as SQL that gives exactly this value. */
export function literal(value: SqlValue): string {
  if (value === null) return 'NULL';
  switch (typeof value) {
    case 'bigint':
      return String(value);
    case 'number':
      return realText(value);
    case 'string':
      return quoteText(value);
    default:
      return bytesLiteral(value);
  }
}

/** A REAL in the fewest digits that give it back, with something that tells it from an INTEGER. */
export function realText(value: number): string {
  if (Number.isNaN(value)) return 'NULL';
  if (!Number.isFinite(value)) return value > 0 ? '9e999' : '-9e999';
  const digits = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(digits) ? digits : `${digits}.0`;
}

export function bytesLiteral(bytes: Uint8Array): string {
  return `X'${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex').toUpperCase()}'`;
}
