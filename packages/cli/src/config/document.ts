import { createRequire } from 'node:module';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { nearestName } from '@batondb/core/text/suggest';
import type * as Yaml from 'yaml';
import type { ConfigFile } from './files.ts';

// The form of a configuration file: YAML 1.2 (https://yaml.org/spec/1.2.2/), of which one map of maps is read, whose values are
// texts or lists of texts. What a text means is not decided here: `true`, `200MB` and `5` are what was written. Not taken:
// anchors, aliases, tags, several documents, keys that are no text.

/** One option of a file, as it is written there. */
export type Entry = {
  readonly key: string;
  readonly value: Written | readonly Written[];
  /** Where the key stands: `file:line`. */
  readonly place: string;
};

/** A text of a file and where it stands. */
export type Written = { readonly text: string; readonly place: string };

/** What a file has options for: each is a map of its own. */
export const sectionNames = ['copy', 'sqlite'] as const;
export type Section = (typeof sectionNames)[number];

/** What options are of: a section of a file, or a file of one sync, which has them without a section. */
export type Subject = Section | 'sync';

/** Reads the options of one subject. Throws USAGE with file and line. */
export function readEntries(file: ConfigFile, wanted: Subject): readonly Entry[] {
  // Loaded late: most machines have no such file, and a command that waits for nothing should not wait for a parser.
  const yaml = createRequire(import.meta.url)('yaml') as typeof Yaml;
  const lines = new yaml.LineCounter();
  const placeAt = (offset: number): string => `${file.path}:${lines.linePos(offset).line}`;
  const placeOf = (node: Yaml.Node): string => placeAt(node.range?.[0] ?? 0);
  const root = compose(yaml, file, lines, placeAt);
  if (root === null) return [];
  refuseForeign(yaml, root, placeOf);

  const mapOf = (node: unknown, what: string): readonly Pair[] => {
    if (yaml.isScalar(node) && node.value === '') return [];
    if (yaml.isMap(node)) return unique(node.items.map((pair) => pairOf(yaml, pair, placeOf)));
    throw refusal(`${placeOf(node as Yaml.Node)}: ${what} is a map, one 'option: value' a line`, exampleHint);
  };
  const entries = mapOf(root, 'the file');
  const wantedEntries = wanted === 'sync' ? entries : sectionOf(entries, wanted, mapOf);
  return wantedEntries.map(({ key, value, place }) => ({
    key,
    place,
    value: valueOf(yaml, key, value, place, placeOf),
  }));
}

function sectionOf(
  sections: readonly Pair[],
  wanted: Section,
  mapOf: (node: unknown, what: string) => readonly Pair[],
): readonly Pair[] {
  const foreign = sections.find(({ key }) => !sectionNames.some((name) => name === key));
  if (foreign !== undefined) throw unknownSection(foreign);
  return sections
    .filter(({ key }) => key === wanted)
    .flatMap(({ value }) => (value === null ? [] : mapOf(value, wanted)));
}

const exampleHint = 'write copy: on a line of its own, and below it, indented, lines such as bwlimit: 200MB';

type Pair = { readonly key: string; readonly value: Yaml.Node | null; readonly place: string };

function compose(
  yaml: typeof Yaml,
  { path, text }: ConfigFile,
  lineCounter: Yaml.LineCounter,
  placeAt: (offset: number) => string,
): Yaml.Node | null {
  let tokens = 0;
  for (const _ of new yaml.Lexer().lex(text)) {
    tokens += 1;
    if (tokens > limits.configTokensMax) {
      throw refusal(`${path}: more than ${limits.configTokensMax} words and marks`, 'shorten it, or use --no-config');
    }
  }
  // Without types of its own and without merge keys: every value is the text that was written.
  const document = yaml.parseDocument(text, {
    schema: 'failsafe',
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter,
    stringKeys: false,
  });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem === undefined) return document.contents;
  const message = problem.message.split('\n', 1)[0] ?? '';
  throw refusal(`${placeAt(problem.pos[0])}: ${message}`, hintFor(text));
}

function hintFor(text: string): string {
  return /^\s*\[DEFAULT\]/m.test(text)
    ? `this looks like transferpy's configuration; write its options as YAML below copy:, or use --no-config`
    : 'mend the line, or leave the file out with --no-config';
}

/** What YAML has beyond texts, lists and maps would let a short file mean a long one, or a text something else. */
function refuseForeign(yaml: typeof Yaml, root: Yaml.Node, placeOf: (node: Yaml.Node) => string): void {
  yaml.visit(root, {
    Node: (_, node) => {
      if (yaml.isAlias(node)) {
        const hint = 'a pattern that begins with * is written in quotes';
        throw refusal(`${placeOf(node)}: *${node.source} is an alias, and aliases are not read`, hint);
      }
      if (node.anchor !== undefined)
        throw refusal(`${placeOf(node)}: &${node.anchor} is an anchor, and anchors are not read`, quoteHint);
      if (node.tag !== undefined)
        throw refusal(`${placeOf(node)}: ${node.tag} is a tag, and tags are not read`, quoteHint);
    },
  });
}

const quoteHint = 'write the value without it, or in quotes';

function pairOf(yaml: typeof Yaml, pair: Yaml.Pair<unknown, unknown>, placeOf: (node: Yaml.Node) => string): Pair {
  const { key, value } = pair as Yaml.Pair<Yaml.Node, Yaml.Node | null>;
  if (!yaml.isScalar(key)) throw refusal(`${placeOf(key)}: a key is the name of an option`, exampleHint);
  return { key: String(key.value), value, place: placeOf(key) };
}

/** The parser would look for twins itself, in a time that grows with the square of the keys. */
function unique(pairs: readonly Pair[]): readonly Pair[] {
  const places = new Map<string, string>();
  for (const { key, place } of pairs) {
    const earlier = places.get(key);
    if (earlier !== undefined) throw refusal(`${place}: '${key}' stands in ${earlier} already`, 'keep one of the two');
    places.set(key, place);
  }
  return pairs;
}

function valueOf(
  yaml: typeof Yaml,
  key: string,
  node: Yaml.Node | null,
  place: string,
  placeOf: (node: Yaml.Node) => string,
): Entry['value'] {
  const textOf = (item: unknown): Written => {
    if (yaml.isScalar(item)) return { text: String(item.value), place: placeOf(item) };
    throw refusal(`${placeOf(item as Yaml.Node)}: ${key} holds a list or a map where a text has to be`, exampleHint);
  };
  if (node === null) return { text: '', place };
  return yaml.isSeq(node) ? node.items.map(textOf) : textOf(node);
}

function unknownSection({ key, place }: Pair): BatonError {
  const near = nearestName(key, sectionNames);
  return refusal(
    `${place}: unknown key '${key}'`,
    near === undefined ? 'options stand below copy: or sqlite:' : `did you mean ${near}?`,
  );
}

function refusal(message: string, hint: string): BatonError {
  return new BatonError('USAGE', message, { hint });
}
