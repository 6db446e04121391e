import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';

const keyBytes = 32;
/** A key is a line; what is larger is another file. */
const keyFileBytesMax = 4_096;
/** Below it a key can be guessed. */
const keyCharactersMin = 16;

/** A new key as text, with the end of its line. */
export function makeKey(): string {
  return `${randomBytes(keyBytes).toString('base64url')}\n`;
}

/** The key of a file: its text without space around it. Throws NOT_FOUND, NO_PERMISSION, LIMIT, USAGE. */
export function readKey(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw toBatonError(error, { path });
  }
  if (text.length > keyFileBytesMax) {
    throw new BatonError('LIMIT', `${path} has ${text.length} bytes, and a key has at most ${keyFileBytesMax}`);
  }
  const key = text.trim();
  if (key.length >= keyCharactersMin) return key;
  throw new BatonError('USAGE', `${path} holds ${key.length} characters, and a key has at least ${keyCharactersMin}`, {
    hint: 'bring the key file of another node here, or remove this one and run baton galera key --create',
  });
}

/** What may be shown of a key: the same on nodes that have the same key, and of no use to anybody who has not got it. */
export function keyFingerprint(key: string): string {
  const digest = createHash('sha256').update('baton galera key\0').update(key).digest('hex');
  return digest.slice(0, 16).replace(/(.{4})(?!$)/g, '$1-');
}
