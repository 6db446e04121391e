import { BatonError } from '@batondb/core/errors';

/** The server's default for `innodb_data_file_path`. */
const defaultPath = 'ibdata1:12M:autoextend';

/**
 * Names of the system tablespace's files, from `innodb_data_file_path`: `NAME:SIZE[:autoextend[:max:SIZE]][;…]`. Throws UNSUPPORTED for what
 * is no plain name (raw devices, files in directories): no rename exchanges those.
 */
export function systemTablespaceNames(dataFilePath: string = defaultPath): string[] {
  const names = dataFilePath.split(';').map((file) => file.trim().replace(/:.*$/s, ''));
  const isRaw = /:\s*\d+[KMG]?\s*(new)?raw/i.test(dataFilePath);
  const odd = names.find((name) => name === '' || name.includes('/') || name === '.' || name === '..');
  if (!isRaw && odd === undefined) return names;
  throw new BatonError(
    'UNSUPPORTED',
    `innodb_data_file_path is '${dataFilePath}', and ${isRaw ? 'a raw device' : `'${odd ?? ''}'`} cannot be exchanged by a rename`,
    { hint: 'name plain files, and their directory in innodb_data_home_dir; or use wsrep_sst_method=mariabackup' },
  );
}
