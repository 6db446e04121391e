import type { Field } from '../table.ts';

// Parts of a key: any text, such that no part has a slash and two texts never meet. NULL is `%N`, which no text becomes.

const special = /[%/\u0000-\u0020\u007f]/;
const eachSpecial = new RegExp(special.source, 'g');
const nullPart = '%N';

export function escapePart(field: Field): string {
  if (field === null || field === undefined) return nullPart;
  if (!special.test(field)) return field;
  return field.replace(eachSpecial, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

export function unescapePart(part: string): string | null {
  if (part === nullPart) return null;
  return part.replace(/%([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
