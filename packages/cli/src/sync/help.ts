// Longer texts of the help of `baton sync`, apart from its grammar.

export const runExamples = `A sync owns its sink: a second process on it waits, and takes over. It dumps what
the sink lacks, follows the stream, and tries again what time may heal, until
SIGTERM or SIGINT. Publication and slot are there before: baton sync setup.

Passwords come from PGPASSWORD, .pgpass or --password-file, and for etcd from
BATON_ETCD_PASSWORD or --etcd-password-file. --config FILE has the same options
by the same names; --config and the command line can be used together.

Examples:
  baton sync setup --from postgres://baton@db1/app
  baton sync check --from postgres://baton@db1/app --to etcd://etcd-1:2379/app
  baton sync --from postgres://baton@db1,db2/app --to etcd://etcd-1:2379,etcd-2:2379/app
  baton sync --from postgres://baton@db1/app --to sqlite:replica.db --include 'sales.*'
  baton sync --from postgres://baton@db1/app --to ndjson:- --dump-only | gzip > app.gz
  baton sync --config /etc/baton/sync/app.yaml

Every command has more: baton sync check --help`;

export const verifyExamples = `Source, sink and choice of tables are named as for the sync itself, by options or by
its --config. The sync goes on, and is not asked; the source needs one free slot.
Ends with 25 when anything differs, and 20 when nothing does but a table could not
be compared: its shape was being changed, or it was emptied while it was read.

Examples:
  baton sync verify --from postgres://baton@db1/app --to sqlite:replica.db
  baton sync verify --config /etc/baton/sync/app.yaml --table 'sales.*' --limit 100
  baton sync verify --config /etc/baton/sync/app.yaml --json > differences.ndjson`;

export const exitHelp = 'Exit codes: docs/exit-codes.md';

export const setupExamples = `The user of --from has to own the tables, and to have the right to replicate; the
sync itself needs less: docs/sync-postgres.md. What is there already stays.

Examples:
  baton sync setup --from postgres://postgres@db1/app
  baton sync setup --from postgres://baton@db1/app --dry-run > setup.sql
  baton sync setup --from postgres://postgres@db1/app --schema sales --exclude '*.audit_*'
  baton sync setup --config /etc/baton/sync/app.yaml`;

export const checkExamples = `Changes nothing. Each finding is ok, a warning, or an error that keeps a sync from
running, with what is needed and the next step. Exit code 30: there is an error.

Examples:
  baton sync check --from postgres://baton@db1/app
  baton sync check --config /etc/baton/sync/app.yaml --json`;

export const dropExamples = `The sync has to be stopped. A slot that nobody reads keeps log until the server's
disk is full, so it is to be dropped when a sync is given up.

Examples:
  baton sync drop --from postgres://postgres@db1/app --dry-run
  baton sync drop --from postgres://postgres@db1/app --yes`;

export const statusExamples = `Examples:
  baton sync status
  baton sync status https://sync1:6481 --token-file read.token
  baton sync status unix:/run/baton/app.sock --json`;

export const orderExamples = `Examples:
  baton sync resync --table sales.orders
  baton sync status`;

export const tokenExamples = `As soon as the list exists, everybody needs a token; a sync that runs takes notice
at once. A token's text is printed once, alone on standard output, and cannot be
had again. Rights: read (status and metrics), write (orders; includes read).

Examples:
  baton sync token create ops --token-file /etc/baton/sync/tokens > ops.token
  baton sync token create prometheus --rights read --token-file /etc/baton/sync/tokens
  baton sync token revoke ops --token-file /etc/baton/sync/tokens`;
