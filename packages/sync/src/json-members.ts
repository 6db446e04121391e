import { BatonError } from '@batondb/core/errors';

/**
 * The members of a JSON object, by name, each value as the text that it has there: what is parsed and printed again is not always what it was (numbers). The text is one
 * that was written as JSON; that it is well-formed is not checked beyond what is needed. Throws PROTOCOL for what is no object.
 */
export function membersOf(json: string): Map<string, string> {
  const members = new Map<string, string>();
  let at = json.indexOf('{') + 1;
  if (at === 0) throw notAnObject();
  while (json[at] !== '}') {
    const nameEnd = stringEnd(json, at);
    const valueEnd = endOfValue(json, nameEnd + 1);
    members.set(JSON.parse(json.slice(at, nameEnd)) as string, json.slice(nameEnd + 1, valueEnd));
    at = json[valueEnd] === ',' ? valueEnd + 1 : valueEnd;
  }
  return members;
}

/** Behind the closing quote of a string that begins at `at`. */
function stringEnd(json: string, at: number): number {
  if (json[at] !== '"') throw notAnObject();
  for (let end = at + 1; end < json.length; end++) {
    if (json[end] === '\\') end++;
    else if (json[end] === '"') return end + 1;
  }
  throw notAnObject();
}

/** Where the comma or the brace is that ends a value. */
function endOfValue(json: string, at: number): number {
  let depth = 0;
  for (let end = at; end < json.length; ) {
    const char = json[end];
    if (char === '"') {
      end = stringEnd(json, end);
      continue;
    }
    if (depth === 0 && (char === ',' || char === '}')) return end;
    if (char === '{' || char === '[') depth++;
    if (char === '}' || char === ']') depth--;
    end++;
  }
  throw notAnObject();
}

function notAnObject(): BatonError {
  return new BatonError('PROTOCOL', 'a row is not the JSON object that Baton writes', {
    hint: 'look who else writes to the sink',
  });
}
