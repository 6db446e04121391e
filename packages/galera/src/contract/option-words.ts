/**
 * The long options among words as a server takes them and my_print_defaults prints them: `--name=value` or `--name`. In names `_` is `-`,
 * and `--loose-` says nothing. The last one of a name wins; one without a value has ''. What follows `--` are no options.
 */
export function parseOptionWords(words: readonly string[]): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const text of words) {
    if (text === '--') break;
    const [, name, value = ''] = /^--(?:loose[-_])?([^=]+)(?:=([^]*))?$/.exec(text) ?? [];
    if (name !== undefined) options.set(name.replaceAll('_', '-'), value.trim());
  }
  return options;
}
