// Names in Linux are bytes; a command line and JavaScript have text. Bytes that are no UTF-8 become lone surrogates, as in
// PEP 383: byte 0xNN is U+DCNN. Text that holds none of them stays what it is, and every sequence of bytes survives the way
// there and back.

const surrogateBase = 0xdc00;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as text that {@link textToBytes} turns into the same bytes. */
export function bytesToText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return decodeWithSurrogates(bytes);
  }
}

/** The bytes of a text: UTF-8, with U+DC80 to U+DCFF as the single bytes they stand for. */
export function textToBytes(text: string): Uint8Array {
  if (text.isWellFormed()) return Buffer.from(text, 'utf8');
  const parts: Uint8Array[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const isByte = code >= surrogateBase + 0x80 && code <= surrogateBase + 0xff;
    parts.push(isByte ? Uint8Array.of(code - surrogateBase) : Buffer.from(character, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** The longest well-formed character at `start`, or undefined. UTF-8's lengths follow from its first byte (RFC 3629). */
function characterAt(bytes: Uint8Array, start: number): { text: string; length: number } | undefined {
  const first = bytes[start] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (start + length > bytes.length) return undefined;
  try {
    return { text: utf8.decode(bytes.subarray(start, start + length)), length };
  } catch {
    return undefined;
  }
}

function decodeWithSurrogates(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const character = characterAt(bytes, at);
    parts.push(character?.text ?? String.fromCharCode(surrogateBase + (bytes[at] ?? 0)));
    at += character?.length ?? 1;
  }
  return parts.join('');
}
