import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, createClient, type InStatement } from '@libsql/client';
import { root } from './baton.ts';

// The data of the demo: the texts of everything that the checkout's node_modules brings along, with an index of their words. Written by the
// stock client, as any program would.

const textBytesMax = 24 * 1024 * 1024;
const fileBytesMax = 512 * 1024;
const batchBytes = 1024 * 1024;
const textName = /\.(?:md|d\.ts|d\.cts|txt)$|^LICENSE$/;

const schema = [
  'CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, body TEXT NOT NULL)',
  "CREATE VIRTUAL TABLE words USING fts5(body, content='files', content_rowid='id')",
  'CREATE TRIGGER files_words AFTER INSERT ON files BEGIN INSERT INTO words (rowid, body) VALUES (new.id, new.body); END',
];

/** How much was loaded. */
export type Loaded = { readonly files: number; readonly bytes: number; readonly seconds: number };

/** Fills an empty database. `onProgress` is told of the bytes so far. */
export async function loadLibrary(
  url: string,
  onProgress: (doneBytes: number, totalBytes: number) => void,
): Promise<Loaded> {
  const startMs = performance.now();
  const client = createClient({ url });
  try {
    await client.batch(schema, 'write');
    let bytes = 0;
    const { texts, totalBytes } = chooseTexts();
    for (const batch of batchesOf(texts)) {
      await client.batch(batch.statements, 'write');
      bytes += batch.bytes;
      onProgress(bytes, totalBytes);
    }
    return { files: texts.length, bytes, seconds: (performance.now() - startMs) / 1000 };
  } finally {
    client.close();
  }
}

/** How many texts have a word, and the one that has it most. */
export async function search(client: Client, word: string): Promise<{ readonly count: number; readonly best: string }> {
  const { rows } = await client.execute({
    sql: `SELECT count(*) OVER () AS count, path FROM words JOIN files ON files.id = words.rowid
          WHERE words MATCH ? ORDER BY words.rank LIMIT 1`,
    args: [word],
  });
  const [first] = rows;
  return { count: Number(first?.['count'] ?? 0), best: (first?.['path'] ?? '') as string };
}

type Text = { readonly path: string; readonly bytes: number };

function chooseTexts(): { readonly texts: readonly Text[]; readonly totalBytes: number } {
  const texts: Text[] = [];
  let totalBytes = 0;
  for (const text of textsBelow('node_modules')) {
    if (totalBytes + text.bytes > textBytesMax) break;
    texts.push(text);
    totalBytes += text.bytes;
  }
  return { texts, totalBytes };
}

function* batchesOf(texts: readonly Text[]): Generator<{ readonly statements: InStatement[]; readonly bytes: number }> {
  let [statements, bytes]: [InStatement[], number] = [[], 0];
  for (const text of texts) {
    const body = readFileSync(join(root, text.path), 'utf8');
    statements.push({
      sql: 'INSERT INTO files (path, bytes, body) VALUES (?, ?, ?)',
      args: [text.path, text.bytes, body],
    });
    bytes += text.bytes;
    if (bytes < batchBytes) continue;
    yield { statements, bytes };
    [statements, bytes] = [[], 0];
  }
  if (statements.length > 0) yield { statements, bytes };
}

function* textsBelow(directory: string): Generator<Text> {
  const entries = readdirSync(join(root, directory), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) yield* textsBelow(path);
    if (!entry.isFile() || !textName.test(entry.name)) continue;
    const bytes = statSync(join(root, path)).size;
    if (bytes <= fileBytesMax) yield { path, bytes };
  }
}
