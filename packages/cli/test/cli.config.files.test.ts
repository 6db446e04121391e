// Proves: a configuration file is read from where it belongs, and only if nobody but root and its reader can have written it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { BatonError } from '@batondb/core/errors';
import { type ConfigChoice, type ConfigPlace, configPaths, readConfigFiles } from '../src/config/files.ts';

const usual: ConfigChoice = { kind: 'usual' };

/** A system's and a user's directory of their own. */
function makePlace(t: TestContext, userId = 0): ConfigPlace & { readonly userFile: string; readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'baton-config-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  mkdirSync(join(path, 'etc'));
  mkdirSync(join(path, 'home', 'baton'), { recursive: true });
  const environment = { XDG_CONFIG_HOME: join(path, 'home') };
  const systemFile = join(path, 'etc', 'config.yaml');
  return { systemFile, environment, userId, userFile: join(path, 'home', 'baton', 'config.yaml'), path };
}

function write(path: string, text: string | Buffer, mode = 0o644): void {
  writeFileSync(path, text);
  chmodSync(path, mode);
}

function refusal(place: ConfigPlace, choice: ConfigChoice = usual): BatonError {
  try {
    readConfigFiles(choice, place);
  } catch (error) {
    return error as BatonError;
  }
  throw new Error('the file was read');
}

test('the system comes first, the user second, and what is missing is left out', (t) => {
  const place = makePlace(t);
  assert.deepEqual(readConfigFiles(usual, place), []);
  write(place.userFile, 'u');
  assert.deepEqual(readConfigFiles(usual, place), [{ path: place.userFile, text: 'u' }]);
  write(place.systemFile, 's');
  assert.deepEqual(
    readConfigFiles(usual, place).map(({ text }) => text),
    ['s', 'u'],
  );
  assert.deepEqual(readConfigFiles({ kind: 'none' }, place), []);
  const path = join(place.path, 'other');
  write(path, 'o');
  assert.deepEqual(readConfigFiles({ kind: 'file', path }, place), [{ path, text: 'o' }]);
});

test('the user’s file lies below XDG_CONFIG_HOME, else below the home directory', () => {
  const userFile = (environment: Record<string, string>): string | undefined =>
    configPaths(usual, { systemFile: '/s', environment, userId: 0 })[1];
  assert.equal(userFile({ XDG_CONFIG_HOME: '/x', HOME: '/h' }), '/x/baton/config.yaml');
  assert.equal(userFile({ XDG_CONFIG_HOME: 'relative', HOME: '/h' }), '/h/.config/baton/config.yaml');
  assert.equal(userFile({ XDG_CONFIG_HOME: '', HOME: '/h' }), '/h/.config/baton/config.yaml');
  assert.equal(userFile({}), join(homedir(), '.config/baton/config.yaml'));
});

test('a file that others can write is refused with the line that mends it', (t) => {
  const place = makePlace(t);
  for (const mode of [0o664, 0o646, 0o666, 0o620]) {
    write(place.userFile, 'u', mode);
    const error = refusal(place);
    assert.match(error.message, new RegExp(`${place.userFile} can be written by others .*mode 0${mode.toString(8)}`));
    assert.equal(error.hint, `run: chmod go-w ${place.userFile}`);
    execFileSync('sh', ['-c', error.hint.replace('run: ', '')]);
    assert.equal(readConfigFiles(usual, place).length, 1);
  }
});

test('a file of another user is refused with the line that mends it; root’s and one’s own are not', (t) => {
  const place = makePlace(t, 12_345);
  write(place.userFile, 'root');
  assert.equal(readConfigFiles(usual, place)[0]?.text, 'root');
  chownSync(place.userFile, 12_345, 0);
  assert.equal(readConfigFiles(usual, place).length, 1);
  chownSync(place.userFile, 54_321, 0);
  const error = refusal(place);
  assert.match(error.message, /belongs to user 54321, not to root or user 12345/);
  execFileSync('sh', ['-c', error.hint?.replace('run: ', '') ?? 'false']);
  assert.equal(readConfigFiles(usual, place).length, 1);
  // Root does not read what a user of the machine wrote.
  assert.match(refusal({ ...place, userId: 0 }).message, /belongs to user 12345, not to root$/);
});

test('a symlink is followed, and what it leads to is judged', (t) => {
  const place = makePlace(t);
  const real = join(place.path, 'dotfiles.yaml');
  write(real, 'd');
  symlinkSync(real, place.userFile);
  assert.deepEqual(readConfigFiles(usual, place), [{ path: place.userFile, text: 'd' }]);
  chmodSync(real, 0o666);
  assert.match(refusal(place).message, /can be written by others/);
});

test('what is no regular file is refused, and a FIFO without waiting for a writer', (t) => {
  const place = makePlace(t);
  mkdirSync(place.userFile);
  assert.match(refusal(place).message, /is not a regular file/);
  rmSync(place.userFile, { recursive: true });
  execFileSync('mkfifo', [place.userFile]);
  assert.match(refusal(place).message, /is not a regular file/);
  assert.match(refusal(place, { kind: 'file', path: '/dev/zero' }).message, /is not a regular file/);
});

test('the largest file is read, one byte more is refused, and so is one that says it has none', (t) => {
  const place = makePlace(t);
  write(place.userFile, '');
  truncateSync(place.userFile, 1_048_576);
  assert.equal(readConfigFiles(usual, place)[0]?.text.length, 1_048_576);
  truncateSync(place.userFile, 1_048_577);
  assert.match(refusal(place).message, /has 1048577 bytes; at most 1048576 are read/);
  // Like a file that grows while it is read: 0 bytes by its status, more than the limit when it is read.
  const endless = refusal(place, { kind: 'file', path: '/proc/kallsyms' });
  assert.match(endless.message, /has more than 1048576 bytes/);
});

test('a file that cannot be read, a missing --config and bytes that are no UTF-8 are refused', (t) => {
  const place = makePlace(t);
  write(place.userFile, Buffer.from('copy:\n  agent: \xff\n', 'latin1'));
  assert.match(refusal(place).message, /is not UTF-8/);
  const missing = refusal(place, { kind: 'file', path: join(place.path, 'nowhere') });
  assert.match(missing.message, /nowhere does not exist/);
  assert.match(missing.hint ?? '', /--config/);
  rmSync(place.userFile);
  symlinkSync('config.yaml', place.userFile);
  assert.match(refusal(place).message, /cannot be read: ELOOP/);
});
