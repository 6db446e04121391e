// Proves: a configuration file gives defaults by the grammar of the command line, the nearer one wins, and what cannot be meant
// is refused with file, line and a way out.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import type { CopyOptions } from '@batondb/copy/options';
import { defaultOptions } from '@batondb/copy/options';
import type { BatonError } from '@batondb/core/errors';
import fc from 'fast-check';
import { parseCommandLine, type Request } from '../src/command-line.ts';
import type { ConfigReader } from '../src/config/apply.ts';
import { parseSqlite } from '../src/sqlite/command.ts';
import { parseSync } from '../src/sync/command.ts';

type CopyRequest = Request & { kind: 'copy' };

/** A reader of texts instead of files, the one that counts less first; it obeys `--no-config` as the real one does. */
function readerOf(...texts: readonly string[]): ConfigReader {
  const all = texts.map((text, index) => ({ path: `${index + 1}.yaml`, text }));
  return ({ kind }) => (kind === 'none' ? [] : all);
}

function parseCopy(read: ConfigReader, ...words: readonly string[]): CopyRequest {
  const request = parseCommandLine(['copy', 'db1:/a', 'db2:/b', ...words], read);
  assert.ok(request.kind === 'copy');
  return request;
}

function refusal(text: string): BatonError {
  try {
    parseCopy(readerOf(text));
  } catch (error) {
    return error as BatonError;
  }
  throw new Error(`accepted: ${text}`);
}

/** Two values for every option that stands for itself; `false` is a flag that is not set. */
const samples: Readonly<Record<string, readonly [string, string]>> = {
  bwlimit: ['200MB', '1Mbit'],
  compress: ['none', 'zstd:7'],
  verify: ['disk', 'wire'],
  priority: ['normal', 'low'],
  topology: ['star', 'chain'],
  order: ['near', 'given'],
  streams: ['3', '0'],
  port: ['5000', '0'],
  bind: ['10.0.0.0/8', '"[::1]"'],
  ssh: [`"ssh -F 'my conf'"`, 'ssh'],
  agent: ['/opt/baton', 'baton'],
  exclude: [`['*.log', /cache]`, '[tmp/]'],
  'one-file-system': ['true', 'false'],
  'dry-run': ['true', 'false'],
};

/** What some layers say: for each, which sample of which option. */
type Layer = Readonly<Record<string, 0 | 1>>;

const layer: fc.Arbitrary<Layer> = fc.dictionary(
  fc.constantFrom(...Object.keys(samples)),
  fc.constantFrom<0 | 1>(0, 1),
  { maxKeys: Object.keys(samples).length },
);

function textOf(said: Layer): string {
  const lines = Object.entries(said).map(([name, index]) => `  ${name}: ${samples[name]?.[index] ?? ''}`);
  return ['copy:', ...lines].join('\n');
}

/** The same as words of a command line. */
function wordsOf(said: Layer): string[] {
  return Object.entries(said).flatMap(([name, index]) => {
    const text = samples[name]?.[index] ?? '';
    if (text === 'true') return [`--${name}`];
    if (text === 'false') return [`--no-${name}`];
    const list = /^\[(.*)\]$/.exec(text)?.[1]?.split(', ') ?? [text];
    return list.flatMap((item) => [`--${name}`, item.replace(/^(['"])(.*)\1$/, '$2')]);
  });
}

test('for every option: the command line, then the user, then the system, then the default', () => {
  const property = fc.property(layer, layer, layer, (system, user, said) => {
    const made = parseCopy(readerOf(textOf(system), textOf(user)), ...wordsOf(said)).options;
    const asWords = parseCopy(readerOf(), ...wordsOf({ ...system, ...user, ...said })).options;
    assert.deepEqual(made, asWords);
  });
  const seed = process.env['BATON_SEED'] ?? '';
  fc.assert(property, { numRuns: 200, ...(seed === '' ? {} : { seed: Number(seed) | 0 }) });
});

test('an empty file changes nothing', () => {
  for (const text of ['', '# nothing\n', 'copy:\n', 'copy: {}\n', '---\n']) {
    assert.deepEqual(parseCopy(readerOf(text)).options, defaultOptions, JSON.stringify(text));
  }
});

test('what baton config shows can stand in a file, for every option', () => {
  const request = parseCommandLine(['config']);
  assert.ok(request.kind === 'config');
  const shown = request.config.options.filter(({ section, value }) => section === 'copy' && value !== null);
  assert.ok(shown.length >= Object.keys(samples).length - 2, `only ${shown.length} options`);
  const lines = shown.map(({ name, value }) => `  ${name}: ${JSON.stringify(value)}`);
  assert.deepEqual(parseCopy(readerOf(['copy:', ...lines].join('\n'))).options, defaultOptions);
});

test('--no-NAME takes back what a file says, and a list is replaced, not added to', () => {
  const read = readerOf(`copy: {bwlimit: 1MB, exclude: ['*.log'], bind: 10.0.0.1, one-file-system: true, sudo: true}`);
  const words = ['--no-bwlimit', '--no-exclude', '--no-bind', '--no-one-file-system', '--no-sudo'];
  assert.deepEqual(parseCopy(read, ...words).options, defaultOptions);
  assert.deepEqual(parseCopy(read, '--exclude', 'tmp').options.exclude, ['tmp']);
  assert.deepEqual(parseCopy(read, '--no-config').options, defaultOptions);
  assert.deepEqual(parseCopy(readerOf(`copy: {exclude: '*.log'}`)).options.exclude, ['*.log']);
});

test('what cannot stand together is decided by the nearer one', () => {
  const viewOf = (texts: readonly string[], ...words: string[]): unknown =>
    parseCopy(readerOf(...texts), ...words).view;
  const [quiet, verbose, json] = ['copy: {quiet: true}', 'copy: {verbose: true}', 'copy: {json: true}'];
  assert.deepEqual(viewOf([verbose], '--quiet'), { form: 'human', volume: 'quiet' });
  assert.deepEqual(viewOf([quiet], '--verbose'), { form: 'human', volume: 'verbose' });
  assert.deepEqual(viewOf([json], '-q'), { form: 'human', volume: 'quiet' });
  assert.deepEqual(viewOf([quiet, verbose]), { form: 'human', volume: 'verbose' });
  assert.deepEqual(viewOf([verbose, 'copy: {verbose: false}']), { form: 'human', volume: 'normal' });
  assert.deepEqual(viewOf([quiet], '--no-quiet', '--json'), { form: 'json', volume: 'normal' });
});

test('what a file leaves out of trees does not stand in the way of a stream', () => {
  const read = readerOf("copy: {exclude: ['*.log'], one-file-system: true, bwlimit: 1MB}");
  const request = parseCommandLine(['copy', '--stdin', 'dump', 'db2:/b'], read);
  assert.ok(request.kind === 'copy');
  const { exclude, oneFileSystem, bandwidthBytesPerSecond } = request.options;
  assert.deepEqual([exclude, oneFileSystem, bandwidthBytesPerSecond], [[], false, 1_000_000]);
});

test('what a file says of backups does not stand in the way of trees, nor what it leaves out of trees in that of backups', () => {
  const read = readerOf("copy: {prepare: true, owner: 'mysql:mysql', stop-replica: true, exclude: ['*.log']}");
  const tree = parseCopy(read).options;
  assert.deepEqual([tree.input, tree.exclude], [{ kind: 'tree' }, ['*.log']]);
  const backup = parseCopy(read, '--type', 'mariadb').options;
  assert.ok(backup.input.kind === 'mariadb');
  const { prepare, owner, stopReplica } = backup.input;
  assert.deepEqual([prepare, owner, stopReplica, backup.exclude], [true, 'mysql:mysql', true, []]);
  assert.throws(() => parseCopy(read, '--prepare'), { message: /--prepare is for backups/ });
  assert.throws(() => parseCopy(read, '--type', 'mariadb', '--exclude', 'x'), { message: /a backup has no/ });
});

test('sudo is one matter: who answers for a part of it answers for all', () => {
  const sudoOf = (texts: readonly string[], ...words: string[]): CopyOptions['sudo'] =>
    parseCopy(readerOf(...texts), ...words).options.sudo;
  assert.deepEqual(sudoOf(['copy: {sudo: true}'], '--sudo-on', 'db2'), ['db2']);
  assert.deepEqual(sudoOf(['copy: {sudo-on: [db1]}'], '--no-sudo'), []);
  assert.deepEqual(sudoOf(['copy: {sudo: true}', 'copy: {sudo-on: [db1]}']), ['db1']);
  assert.deepEqual(sudoOf(['copy: {sudo-on: [db1]}', 'copy: {sudo: true}']), 'all');
});

test('a file may name hosts of other copies, a command line may not', () => {
  const read = readerOf('copy: {sudo-on: [db1, db7]}');
  assert.deepEqual(parseCopy(read).options.sudo, ['db1']);
  assert.throws(() => parseCopy(read, '--sudo-on', 'db7'), { message: /no such host in this copy/ });
});

test('clean takes what it knows of the same keys', () => {
  const request = parseCommandLine(['copy', 'clean', 'db1:/srv'], readerOf('copy: {agent: /opt/baton, bwlimit: 1MB}'));
  assert.ok(request.kind === 'clean');
  assert.deepEqual(request.options, { ...defaultOptions, agent: '/opt/baton' });
  for (const words of [
    ['copy', '--no-config', 'clean', 'db1:/srv'],
    ['copy', 'clean', '--no-config', 'db1:/srv'],
  ]) {
    const without = parseCommandLine(words, readerOf('copy: {agent: /opt/baton}'));
    assert.ok(without.kind === 'clean' && without.options.agent === defaultOptions.agent, words.join(' '));
  }
  assert.throws(() => parseCommandLine(['copy', 'clean', 'db1:/srv'], readerOf('copy: {bwlimt: 1MB}')), {
    message: /unknown key/,
  });
});

test('baton config tells of each option where it comes from', () => {
  const more = 'sqlite:\n  keep: 7';
  const request = parseCommandLine(
    ['config'],
    readerOf(`copy:\n  port: 5000\n  json: true\n${more}`, 'copy:\n\n  port: 6000'),
  );
  assert.ok(request.kind === 'config');
  assert.deepEqual(request.config.files, ['1.yaml', '2.yaml']);
  const of = (name: string): unknown => {
    const { section, ...option } = request.config.options.find((one) => one.name === name)!;
    return { [section]: option };
  };
  assert.deepEqual(of('port'), { copy: { name: 'port', value: '6000', from: '2.yaml:3' } });
  assert.deepEqual(of('json'), { copy: { name: 'json', value: true, from: '1.yaml:3' } });
  assert.deepEqual(of('compress'), { copy: { name: 'compress', value: 'auto', from: 'default' } });
  assert.deepEqual(of('bwlimit'), { copy: { name: 'bwlimit', value: null, from: 'default' } });
  assert.deepEqual(of('keep'), { sqlite: { name: 'keep', value: '7', from: '1.yaml:5' } });
  assert.deepEqual(of('listen'), { sqlite: { name: 'listen', value: null, from: 'default' } });
  const names = request.config.options.map(({ name }) => name);
  for (const name of ['promote', 'adopt', 'behind-proxy', 'as']) assert.ok(!names.includes(name), name);
  assert.equal(request.form, 'human');
});

const refused: [text: string, message: RegExp, hint: RegExp][] = [
  // Keys
  ['copy:\n  exlude: x', /^1\.yaml:2: unknown key 'exlude'$/, /did you mean exclude\?/],
  ['copy:\n  one_file_system: true', /unknown key 'one_file_system'/, /did you mean one-file-system\?/],
  ['copy:\n  frobnicate: 1', /unknown key 'frobnicate'/, /baton config lists/],
  ['copy:\n  config: /x', /unknown key 'config'/, /baton config/],
  ['copy:\n  no-sudo: true', /unknown key 'no-sudo'/, /./],
  ['copy:\n  as: x', /^1\.yaml:2: 'as' belongs to one copy/, /--as/],
  ['copy:\n  exec: id', /^1\.yaml:2: 'exec' belongs to one copy/, /--exec/],
  ['copy:\n  stdin: dump', /^1\.yaml:2: 'stdin' belongs to one copy/, /--stdin/],
  ['copy:\n  incremental: /x', /^1\.yaml:2: 'incremental' belongs to one copy/, /--incremental/],
  ['copy:\n  checksum: true', /unknown key 'checksum'/, /verify: disk/],
  ['copy:\n  constructor: x', /unknown key 'constructor'/, /./],
  ['copy:\n  __proto__: x', /unknown key '__proto__'/, /./],
  ['bwlimit: 1MB', /^1\.yaml:1: unknown key 'bwlimit'/, /below copy:/],
  ['copi: {}', /unknown key 'copi'/, /did you mean copy\?/],
  ['copy:\n  port: 1\n  port: 2', /^1\.yaml:3: 'port' stands in 1\.yaml:2 already/, /one of the two/],
  ['copy: {}\ncopy: {port: 5}', /^1\.yaml:2: 'copy' stands in 1\.yaml:1 already/, /one of the two/],
  ['copy:\n  quiet: true\n  verbose: true', /^1\.yaml:3: verbose cannot be used with quiet/, /one of the two/],
  // Values
  ['copy:\n  bwlimit: 200Mb', /^1\.yaml:2: bwlimit: '200Mb' is not a rate/, /200MB/],
  ['copy:\n  port: 70000', /^1\.yaml:2: port is a whole number from 0 to 65535, not '70000'/, /^$/],
  ['copy:\n  port: 0x10', /port is a whole number/, /^$/],
  ['copy:\n  port:', /^1\.yaml:2: port is a whole number from 0 to 65535, not ''/, /^$/],
  ['copy:\n  topology: chian', /topology is chain or star, not 'chian'/, /did you mean chain\?/],
  ['copy:\n  compress: gzip', /compress is auto, none, zstd or zstd:LEVEL .* not 'gzip'/, /^$/],
  ['copy:\n  bind: eth0', /bind is an address or network, not 'eth0'/, /10\.0\.0\.0/],
  ['copy:\n  ssh: ""', /ssh is empty/, /ssh: ssh/],
  ['copy:\n  agent: -x', /agent is the path of baton/, /^$/],
  ['copy:\n  exclude:\n  - a\n  - ""', /^1\.yaml:4: exclude is empty/, /^$/],
  ['copy:\n  sudo: yes', /^1\.yaml:2: sudo is true or false, not 'yes'/, /sudo: true/],
  ['copy:\n  sudo: [true]', /sudo is true or false, not a list/, /sudo: true/],
  ['copy:\n  port: [1]', /^1\.yaml:2: port is one value, not a list/, /port: VALUE/],
  ['copy:\n  ssh: [ssh, -F, x]', /ssh is one value, not a list/, /./],
  ['copy:\n  exclude: [[a]]', /^1\.yaml:2: exclude holds a list or a map/, /./],
  ['copy:\n  exclude: {a: b}', /exclude holds a list or a map/, /./],
  // Form
  ['copy: [a]', /^1\.yaml:1: copy is a map/, /bwlimit: 200MB/],
  ['- copy', /the file is a map/, /./],
  ['copy', /the file is a map/, /./],
  ['copy:\n\tport: 1', /^1\.yaml:2: /, /mend the line/],
  ['copy:\n  exclude: [a', /^1\.yaml:\d: /, /mend the line/],
  ['copy: {}\n---\ncopy: {}', /^1\.yaml:2: /, /./],
  ['? [a]\n: b', /a key is the name of an option/, /./],
  ['[DEFAULT]\nport = 0\n', /^1\.yaml:2: /, /transferpy's configuration/],
  // What YAML has beyond
  ['copy:\n  exclude: *.log', /^1\.yaml:2: \*\.log is an alias/, /in quotes/],
  ['copy: &a\n  port: 1', /&a is an anchor/, /without it/],
  ['copy:\n  port: !!int 5', /^1\.yaml:2: /, /./],
  ['copy:\n  agent: !!str baton', /is a tag/, /without it/],
  ['copy:\n  agent: !js/function baton', /^1\.yaml:2: /, /./],
  ['copy:\n  <<: {port: 5}', /^1\.yaml:2: <</, /./],
];

for (const [text, message, hint] of refused) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    const error = refusal(text);
    assert.equal(error.code, 'USAGE', error.stack);
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint);
  });
}

test('a version directive does not change what a text means', () => {
  assert.throws(() => parseCopy(readerOf('%YAML 1.1\n---\ncopy: {sudo: yes}')), { message: /not 'yes'/ });
});

// Each of these takes the parser minutes, or its stack, when nothing stops it.
test('a file that would keep the parser busy is refused by the count of its words and marks', () => {
  const bytes = 1_000_000;
  const hostile = {
    nested: '['.repeat(bytes),
    maps: '{a: '.repeat(bytes / 4),
    dashes: '- '.repeat(bytes / 2),
    keys: Array.from({ length: bytes / 10 }, (_, index) => `k${index}: 1`).join('\n'),
    anchors: '&a '.repeat(bytes / 3),
    quotes: '"'.repeat(bytes),
    lines: '\n'.repeat(bytes),
  };
  for (const [name, text] of Object.entries(hostile)) {
    const error = refusal(text);
    assert.equal(error.code, 'USAGE', name);
    assert.match(error.message, /more than 20000 words and marks/, name);
  }
  // Nested as deeply as the count allows.
  assert.equal(refusal('['.repeat(19_000)).code, 'USAGE');
  assert.equal(parseCopy(readerOf(`copy:\n  exclude:\n${'  - x\n'.repeat(1000)}`)).options.exclude.length, 1000);
});

test('every configuration that a page or the help shows is taken', () => {
  const root = resolve(import.meta.dirname, '../../..');
  const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: root }).map((path) => readFileSync(join(root, path), 'utf8'));
  const shown = pages.flatMap((page) => [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text = '']) => text));
  assert.ok(shown.length >= 2, `only ${shown.length} were found`);
  for (const text of shown) {
    if (/^from:/m.test(text)) assert.equal(parseSync(['--config', 'x'], readerOf(text)).kind, 'run', text);
    else if (/^sqlite:/m.test(text)) assert.equal(parseSqlite(['serve'], readerOf(text)).kind, 'run', text);
    else assert.notDeepEqual(parseCopy(readerOf(text)).options, defaultOptions, text);
  }
  const help = parseCommandLine(['config', '--help']);
  const text = help.kind === 'text' ? (/^ {2}copy:\n(?: {4}.*\n)+/m.exec(help.text)?.[0] ?? '') : '';
  assert.deepEqual(parseCopy(readerOf(text)).options.exclude, ['*.log', '/cache']);
});

// Proves: what one start is about, or gives up protection, is said on the command line or not at all.
test('a server has no default for what opens it', () => {
  const serve = (key: string): unknown => parseSqlite(['serve'], readerOf(`sqlite:\n  ${key}: true\n`));
  for (const key of ['behind-proxy', 'promote', 'adopt'])
    assert.throws(() => serve(key), { code: 'USAGE', message: /belongs to one start/ }, key);
  assert.throws(() => serve('no-auth'), { code: 'USAGE', message: /unknown key 'no-auth'/ });
});
