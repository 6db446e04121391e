import { createRequire } from 'node:module';
import { BatonError } from '@batondb/core/errors';
import { nearestName } from '@batondb/core/text/suggest';
import type { Command } from 'commander';
import type * as Yaml from 'yaml';
import type { Entry } from '../config/document.ts';
import type { ConfigFile } from '../config/files.ts';
import { type Setting, settingsFrom } from '../config/settings.ts';

// The configuration of Contrail's sync service: one file for all of Contrail's services, of which `database`, `etcd`, `sync` and `log_level` are its own.
// docs/from-contrail-sync.md says what becomes of each key.

/** Keys that are read, and those that have nothing to say here. */
const keys = [
  ...['database.type', 'database.host', 'database.user', 'database.password', 'database.name'],
  ...['etcd.endpoints', 'etcd.username', 'etcd.password', 'etcd.path', 'etcd.tls.enabled'],
  ...['etcd.tls.certificate_path', 'etcd.tls.key_path', 'etcd.tls.trusted_ca_path'],
  ...['sync.storage', 'sync.dump', 'log_level'],
] as const;
type Key = (typeof keys)[number];

const ofNoUse: readonly string[] = [
  ...['database.driver', 'database.dialect', 'database.connection', 'database.debug', 'database.max_open_conn'],
  ...['database.connection_retries', 'database.retry_period', 'database.replication_status_timeout'],
  ...['etcd.dial_timeout', 'etcd.grpc_insecure', 'sync.enabled'],
];
const sections = ['database', 'etcd', 'sync'];

/** Names by which the service made its slot and its publication. */
const slot = 'sync_service';
const publication = 'syncpub';

const logLevels: Readonly<Record<string, string>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  fatal: 'error',
  panic: 'error',
};

/** A file's keys, and where each stands. */
type Found = ReadonlyMap<string, { readonly texts: readonly string[]; readonly place: string }>;

/** What a configuration of the service asks for, as options of ours. Throws USAGE, with file and line. */
export function contrailSettings(file: ConfigFile, grammar: Command): readonly Setting[] {
  const found = readKeys(file);
  const entries: Entry[] = [];
  const add = (key: string, text: string, from: Key): void => {
    const place = found.get(from)?.place ?? file.path;
    entries.push({ key, value: { text, place }, place });
  };
  add('from', sourceUrl(found, file), 'database.host');
  add('to', sinkUrl(found, file), 'etcd.endpoints');
  add('slot', slot, 'database.name');
  add('publication', publication, 'database.name');
  add('layout', 'contrail', 'etcd.path');
  if (isTrue(found, 'etcd.tls.enabled')) {
    for (const [key, from] of [
      ['etcd-ca', 'etcd.tls.trusted_ca_path'],
      ['etcd-cert', 'etcd.tls.certificate_path'],
      ['etcd-key', 'etcd.tls.key_path'],
    ] as const) {
      const path = textOf(found, from);
      if (path !== '') add(key, path, from);
    }
  }
  const level = textOf(found, 'log_level');
  if (level !== '') add('log-level', logLevels[level.toLowerCase()] ?? level, 'log_level');
  expectKnownForms(found);
  return [...settingsFrom(entries, grammar, 'sync').values()];
}

function sourceUrl(found: Found, file: ConfigFile): string {
  const type = textOf(found, 'database.type') || 'postgres';
  if (type !== 'postgres')
    throw wrong(found, 'database.type', `database.type is ${type}, and postgres is the source there is`);
  const [user, password] = [textOf(found, 'database.user'), textOf(found, 'database.password')];
  const host = required(found, file, 'database.host');
  return `postgres://${credentials(user, password)}${host}/${encodeURIComponent(required(found, file, 'database.name'))}`;
}

function sinkUrl(found: Found, file: ConfigFile): string {
  const endpoints = found.get('etcd.endpoints')?.texts ?? [];
  if (endpoints.length === 0) throw missing(file, 'etcd.endpoints');
  const scheme = isTrue(found, 'etcd.tls.enabled') ? 'etcds' : 'etcd';
  const hosts = endpoints.map((endpoint) => endpoint.replace(/^https?:\/\//, '')).join(',');
  const path = required(found, file, 'etcd.path').replace(/^\/+|\/+$/g, '');
  const [user, password] = [textOf(found, 'etcd.username'), textOf(found, 'etcd.password')];
  return `${scheme}://${credentials(user, password)}${hosts}/${path}`;
}

function credentials(user: string, password: string): string {
  if (user === '') return '';
  return `${encodeURIComponent(user)}${password === '' ? '' : `:${encodeURIComponent(password)}`}@`;
}

/** What the service could do and we cannot, or what would be taken for done and is not. */
function expectKnownForms(found: Found): void {
  const storage = textOf(found, 'sync.storage') || 'json';
  if (storage !== 'json')
    throw wrong(found, 'sync.storage', `sync.storage is ${storage}, and values are written as json only`);
  if (textOf(found, 'sync.dump') === 'false') {
    throw wrong(
      found,
      'sync.dump',
      'sync.dump is false, which a file cannot ask for: it would skip the dump after every loss of history, too',
      'leave it out, and say --no-dump at the first start',
    );
  }
}

function isTrue(found: Found, key: Key): boolean {
  return textOf(found, key) === 'true';
}

function textOf(found: Found, key: Key): string {
  return found.get(key)?.texts[0] ?? '';
}

function required(found: Found, file: ConfigFile, key: Key): string {
  const text = textOf(found, key);
  if (text === '') throw missing(file, key);
  return text;
}

function missing(file: ConfigFile, key: Key): BatonError {
  return new BatonError('USAGE', `${file.path} has no ${key}`, { hint: 'docs/from-contrail-sync.md has all keys' });
}

function wrong(found: Found, key: Key, message: string, hint?: string): BatonError {
  const place = found.get(key)?.place ?? '';
  return new BatonError('USAGE', `${place}: ${message}`, hint === undefined ? {} : { hint });
}

/** All texts of the service's own sections, by their paths. Throws USAGE for one that the service does not have. */
function readKeys(file: ConfigFile): Found {
  const yaml = createRequire(import.meta.url)('yaml') as typeof Yaml;
  const lineCounter = new yaml.LineCounter();
  const document = yaml.parseDocument(file.text, { schema: 'failsafe', lineCounter, prettyErrors: false });
  const placeAt = (offset: number): string => `${file.path}:${lineCounter.linePos(offset).line}`;
  const [problem] = document.errors;
  if (problem !== undefined)
    throw new BatonError('USAGE', `${placeAt(problem.pos[0])}: ${problem.message.split('\n', 1)[0] ?? ''}`);
  const found = new Map<string, { readonly texts: readonly string[]; readonly place: string }>();
  const walk = (node: unknown, path: string): void => {
    if (!yaml.isMap(node)) return;
    for (const { key, value } of node.items) {
      const name = yaml.isScalar(key) ? String(key.value) : '';
      const inner = path === '' ? name : `${path}.${name}`;
      // Sections of other services are theirs.
      if (path === '' && !sections.includes(name) && name !== 'log_level') continue;
      if (yaml.isMap(value)) {
        walk(value, inner);
        continue;
      }
      const place = placeAt((key as Yaml.Node).range?.[0] ?? 0);
      expectKnown(inner, place);
      found.set(inner, { texts: textsOf(yaml, value), place });
    }
  };
  walk(document.contents, '');
  return found;
}

function textsOf(yaml: typeof Yaml, value: unknown): readonly string[] {
  const items = yaml.isSeq(value) ? value.items : [value];
  // By the schema that was chosen every scalar is a text.
  return items.flatMap((item) => (yaml.isScalar<string>(item) && item.value !== null ? [item.value] : []));
}

function expectKnown(key: string, place: string): void {
  const known: readonly string[] = [...keys, ...ofNoUse];
  if (known.includes(key)) return;
  const near = nearestName(key, known);
  throw new BatonError('USAGE', `${place}: unknown key '${key}'`, {
    hint: near === undefined ? 'docs/from-contrail-sync.md has all keys' : `did you mean ${near}?`,
  });
}
