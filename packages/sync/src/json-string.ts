const escapable = /["\\\u0000-\u001f]/;
/** Up to here a look at each character is cheaper than a regular expression. */
const shortLength = 12;

/** A text as a JSON string; a copy of the text between quotes in nearly all cases. */
export function jsonString(text: string): string {
  return `"${jsonCharacters(text)}"`;
}

/** What stands between the quotes of a JSON string. */
export function jsonCharacters(text: string): string {
  if (text.length > shortLength) return escapable.test(text) ? escapeAll(text) : text;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code === 0x22 || code === 0x5c) return escapeAll(text);
  }
  return text;
}

function escapeAll(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
