import type { SqlValue } from '@batondb/sqlite';
import { fit, pad, printableText, widthOf } from '../../render/style.ts';
import { bytesLiteral, realText } from './literals.ts';

// Rows as text, in the forms that `.mode` knows. A formatter takes a result in pieces: it may be longer than the memory.

export const modes = ['table', 'csv', 'json', 'line', 'list'] as const;
export type Mode = (typeof modes)[number];

/** How rows are shown. */
export type Look = {
  readonly mode: Mode;
  /** Whether names of columns stand above. */
  readonly hasHeaders: boolean;
  /** Columns of the terminal that is written to: values are cut to it, and control characters shown. Undefined: a file or pipe. */
  readonly columns: number | undefined;
};

/** The text of one result. */
export type Formatter = {
  /** The text for more rows. */
  rows(rows: readonly (readonly SqlValue[])[]): string;
  /** The text at the end. */
  end(): string;
};

/** Rows by which a table's widths are measured; later ones that are wider stick out. */
const measuredRows = 1000;

export function makeFormatter(columns: readonly string[], look: Look): Formatter {
  switch (look.mode) {
    case 'table':
      return new Table(columns, look);
    case 'csv':
      return plain(columns, look, (cells) => `${cells.map(csvCell).join(',')}\r\n`, valueText);
    case 'list':
      return plain(
        columns,
        look,
        (cells) => `${cells.join('|')}\n`,
        (value) => shown(valueText(value), look),
      );
    case 'line':
      return lines(columns, look);
    case 'json':
      return json(columns);
    default:
      return look.mode satisfies never;
  }
}

/** A value as text. NULL is empty, bytes are as SQL has them. */
export function valueText(value: SqlValue): string {
  if (value === null) return '';
  if (typeof value === 'number') return realText(value);
  return typeof value === 'object' ? bytesLiteral(value) : String(value);
}

/** What a terminal must not obey is shown; elsewhere every byte counts. */
function shown(text: string, { columns }: Look): string {
  return columns === undefined ? text : printableText(text);
}

function plain(
  columns: readonly string[],
  { hasHeaders }: Look,
  row: (cells: readonly string[]) => string,
  cell: (value: SqlValue) => string,
): Formatter {
  let head = hasHeaders ? row(columns.map((name) => cell(name))) : '';
  const withHead = (text: string): string => {
    const all = head + text;
    head = '';
    return all;
  };
  return {
    rows: (rows) => withHead(rows.map((values) => row(values.map(cell))).join('')),
    end: () => withHead(''),
  };
}

/** RFC 4180. */
function csvCell(text: string): string {
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

function lines(columns: readonly string[], look: Look): Formatter {
  const width = Math.max(0, ...columns.map(widthOf));
  let isFirst = true;
  return {
    rows: (rows) =>
      rows
        .map((values) => {
          const gap = isFirst ? '' : '\n';
          isFirst = false;
          const cells = values.map(
            (value, index) => `${padStart(columns[index] ?? '', width)} = ${shown(valueText(value), look)}\n`,
          );
          return gap + cells.join('');
        })
        .join(''),
    end: () => '',
  };
}

function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - widthOf(text))) + text;
}

/** An array of objects. Integers are written with all their digits, bytes as SQL has them. */
function json(columns: readonly string[]): Formatter {
  const keys = columns.map((name) => `${JSON.stringify(name)}:`);
  let isFirst = true;
  return {
    rows: (rows) =>
      rows
        .map((values) => {
          const start = isFirst ? '[' : ',\n';
          isFirst = false;
          return `${start}{${values.map((value, index) => (keys[index] ?? '') + jsonValue(value)).join(',')}}`;
        })
        .join(''),
    end: () => (isFirst ? '[]\n' : ']\n'),
  };
}

function jsonValue(value: SqlValue): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'number') return JSON.stringify(valueText(value));
  return Number.isFinite(value) ? realText(value) : `${value > 0 ? '' : '-'}1e999`;
}

/** Columns side by side, numbers to the right. */
class Table implements Formatter {
  readonly #names: readonly string[];
  readonly #look: Look;
  #held: (readonly SqlValue[])[] | undefined = [];
  #widths: number[] = [];

  constructor(names: readonly string[], look: Look) {
    this.#names = names.map((name) => this.#cut(printableText(name), look));
    this.#look = look;
  }

  rows(rows: readonly (readonly SqlValue[])[]): string {
    if (this.#held === undefined) return this.#lines(rows);
    this.#held.push(...rows);
    return this.#held.length < measuredRows ? '' : this.#release();
  }

  end(): string {
    return this.#held === undefined ? '' : this.#release();
  }

  #release(): string {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (this.#names.length === 0) return '';
    const cells = held.map((row) => row.map((value) => this.#cell(value)));
    this.#widths = this.#names.map((name, index) =>
      Math.max(this.#look.hasHeaders ? widthOf(name) : 0, ...cells.map((row) => widthOf(row[index] ?? ''))),
    );
    const rule = this.#widths.map((width) => '─'.repeat(width)).join('  ');
    const head = this.#look.hasHeaders ? `${this.#line(this.#names, [])}${rule}\n` : '';
    return head + held.map((row, index) => this.#line(cells[index] ?? [], row)).join('');
  }

  #lines(rows: readonly (readonly SqlValue[])[]): string {
    return rows
      .map((row) =>
        this.#line(
          row.map((value) => this.#cell(value)),
          row,
        ),
      )
      .join('');
  }

  #line(cells: readonly string[], row: readonly SqlValue[]): string {
    const padded = cells.map((cell, index) => {
      const isNumber = typeof row[index] === 'number' || typeof row[index] === 'bigint';
      const width = this.#widths[index] ?? 0;
      return isNumber ? padStart(cell, width) : pad(cell, width);
    });
    return `${padded.join('  ').trimEnd()}\n`;
  }

  /** One line: a value with line ends in it would be taken for several rows. */
  #cell(value: SqlValue): string {
    const text = value === null ? 'NULL' : printableText(valueText(value)).replaceAll('\n', '\\n');
    return this.#cut(text, this.#look);
  }

  #cut(text: string, { columns }: Look): string {
    return columns === undefined ? text : fit(text, columns - 1);
  }
}
