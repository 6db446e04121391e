import { readdirSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { close } from '@batondb/core/files/libc';
import { openDirectory } from '@batondb/core/files/open';
import type { ServerOptions } from './settings/server-options.ts';
import type { Settings } from './settings/settings.ts';
import { elsewhereIn } from './state/top.ts';
import type { About } from './wire/messages.ts';

// What two servers need alike, and what of a server no transfer can take along: found before anything is touched.

const hint = 'set it alike on all nodes; it cannot be changed once there is data';

/** What a joiner's server has to have as the donor's has it, as words of an offer. */
export function factsOf(server: ServerOptions): About {
  return {
    lower_case_table_names: String(server.lowerCaseTableNames),
    innodb_page_size: String(server.innodbPageSizeBytes),
    innodb_data_file_path: server.innodbDataFilePath ?? '',
  };
}

/** Throws UNSUPPORTED for data that our server could not be started on. What an older donor does not tell is not compared. */
export function checkFacts(donor: About, server: ServerOptions): void {
  for (const [name, ours] of Object.entries(factsOf(server))) {
    const theirs = donor[name];
    if (theirs === undefined || theirs === ours) continue;
    const said = (value: string): string => (value === '' ? 'the default' : value);
    throw new BatonError('UNSUPPORTED', `${name} is ${said(theirs)} on the donor and ${said(ours)} here`, { hint });
  }
}

/** Throws UNSUPPORTED for encrypted tables: a backup of them cannot be prepared without the server's own plugin. */
export function checkEncryption({ encryption }: ServerOptions, method: Settings['method']): void {
  if (method !== 'backup' || encryption.length === 0) return;
  throw new BatonError(
    'UNSUPPORTED',
    `tables of this server may be encrypted (${encryption.join(', ')}), and a hot backup of them cannot be prepared on the joiner`,
    { hint: 'set method=files in [sst] of all nodes: it copies the files as they are' },
  );
}

/** Throws UNSUPPORTED for tables that lie elsewhere (DATA DIRECTORY, symlinks): on the joiner they would lead to places that are not its own. */
export function checkTables(dataDirectory: string): void {
  const top = openDirectory(Buffer.from(dataDirectory));
  try {
    for (const entry of readdirSync(dataDirectory, { withFileTypes: true })) {
      const found = entry.isDirectory() && !entry.name.startsWith('.') ? elsewhereIn(top, entry.name) : undefined;
      if (found === undefined) continue;
      throw new BatonError('UNSUPPORTED', `${dataDirectory}/${found} leads to a table outside of the data directory`, {
        hint: 'make the table anew without DATA DIRECTORY and INDEX DIRECTORY, or use wsrep_sst_method=mariabackup',
      });
    }
  } finally {
    close(top);
  }
}
