// Names and passwords reach us by the environment (MariaDB), by standard input (PXC), or by arguments (the documented form).

/** Who may take a backup of the donor. */
export type Credentials = { readonly user: string; readonly password: string };

/** What the joiner has put before the `@` of its `ready` line. */
export type Remote = { readonly user: string; readonly secret: string };

/** What PXC writes to the standard input of a donor's process; a joiner's gets nothing. */
export type StandardInput = { readonly credentials?: Credentials; readonly remote?: Remote };

/** `USER:PASSWORD`, cut at the first colon; undefined for nothing, also as some servers spell it. */
export function parseAuth(text: string | undefined): Credentials | undefined {
  if (text === undefined || text === '' || text === '(null)') return undefined;
  const colon = text.indexOf(':');
  return colon < 0 ? { user: text, password: '' } : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Reads `sst_user=`, `sst_password=`, `sst_remote_user=` and `sst_remote_password=`, a line each; other lines say nothing to us. */
export function parseStandardInput(text: string): StandardInput {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) values.set(line.slice(0, equals), line.slice(equals + 1));
  }
  const user = values.get('sst_user');
  const remoteUser = values.get('sst_remote_user');
  return {
    ...(user === undefined ? {} : { credentials: { user, password: values.get('sst_password') ?? '' } }),
    ...(remoteUser === undefined
      ? {}
      : { remote: { user: remoteUser, secret: values.get('sst_remote_password') ?? '' } }),
  };
}
