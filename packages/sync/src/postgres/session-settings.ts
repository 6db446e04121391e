/**
 * Settings of every session, ordinary and of replication, on which the text of values depends: with them a value has one text, whoever asks and however it
 * comes. As `SET name TO 'value'`, or in the startup packet's options. None of them needs a privilege.
 */
export const sessionSettings: Readonly<Record<string, string>> = {
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  // Shortest text that gives the same number again.
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  // Names of tables, functions and types as values are written in full when they are not found by it; and nobody can slip a function of his own under ours.
  search_path: 'pg_catalog',
  quote_all_identifiers: 'off',
};
