import { limits } from '../limits.ts';
import { bytesToText } from '../text/bytes.ts';

// Names are bytes. People see text, programs see the bytes.

// Controls move a terminal's cursor, U+202A-202E and U+2066-2069 reorder what a person reads, a byte order mark hides, and
// lone surrogates stand for bytes that are no UTF-8.
const unprintable = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/gu;

function escape(character: string): string {
  const code = character.codePointAt(0)!;
  const bytes = code >= 0xdc80 && code <= 0xdcff ? [code - 0xdc00] : Buffer.from(character, 'utf8');
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

/** A name or path as text for people: UTF-8 as it is, control characters and bytes that are no UTF-8 as \xNN. */
export function printable(bytes: Uint8Array): string {
  return bytesToText(bytes).replace(unprintable, escape);
}

/** Whether the bytes are one path component that stays inside its directory: 1 to 255 bytes, no `/`, no NUL, not `.` or `..`. */
export function isSafeName(name: Uint8Array): boolean {
  if (name.length === 0 || name.length > limits.nameBytesMax) return false;
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return false;
  return !name.includes(0x2f) && !name.includes(0);
}
