// Longer texts of the help of `baton sqlite`, apart from its grammar.

export const sqliteExamples = `Examples:
  baton sqlite serve                                  for programs of this machine
  baton sqlite shell                                  SQL at the server of this machine
  baton sqlite create shop                            another database besides main
  baton sqlite token create app > app.token           once there is one, all need one
  baton sqlite status wss://db1:6480 --token-file app.token

Every command has more: baton sqlite serve --help`;

export const exitHelp = 'Exit codes: docs/exit-codes.md';

export const serveExamples = `DIR is made when it is missing. By default it is /var/lib/baton/sqlite for root,
and ~/.local/share/baton/sqlite for everybody else. Programs connect with libSQL
clients to ws://ADDRESS (the database main) or ws://ADDRESS/db/NAME.

SIGTERM and SIGINT stop in order, a second one at once; SIGHUP reads the
certificate again. Defaults of your own stand below sqlite: in
/etc/baton/config.yaml and ~/.config/baton/config.yaml, by the names of these
options; --no-auth, --behind-proxy, --promote and --adopt cannot stand there.

Examples:
  baton sqlite serve
  baton sqlite serve /srv/db --listen unix:/run/app/db.sock
  baton sqlite serve /srv/db --listen 0.0.0.0:6480 --tls-cert db.crt --tls-key db.key
  baton sqlite serve /srv/replica --follow wss://db1:6480 --follow-token-file join.token
  baton sqlite serve /srv/db --log etcd://etcd-1:2379,etcd-2:2379,etcd-3:2379/baton/orders`;

export const shellExamples = `Without an operand it is the server of this machine, ws://127.0.0.1:6480. A
directory is opened without a server, while none has it in use.

SQL ends with a semicolon, over as many lines as it takes; lines that begin with
a dot are commands of the shell: .help lists them. Ctrl-C interrupts the
statement that runs. With standard input from a file or pipe it is run as a
script, which ends at the first error.

Examples:
  baton sqlite shell
  baton sqlite shell wss://db1:6480/db/shop --token-file app.token
  baton sqlite shell /srv/db
  baton sqlite shell < schema.sql`;

export const tokenExamples = `As soon as a directory has a token, everybody needs one; a server that runs takes
notice at once. A token's text is printed once, alone on standard output, and
cannot be had again.

Rights: read, write (which includes read), and join, for replicas.

Examples:
  baton sqlite token create app > app.token
  baton sqlite token create report --rights read --dir /srv/db > report.token
  baton sqlite token revoke app`;

export const logExamples = `The server has to be stopped. check changes nothing. recover gives up what cannot
be read and everything after it, keeps what it takes away below .baton/, and
says what that is before it does it.

Examples:
  baton sqlite log check /srv/db
  baton sqlite log recover /srv/db --dry-run
  baton sqlite log recover /srv/db --yes`;

export const restoreExamples = `A file takes the place of the database that the URL names; the server keeps the
file of the one that was there below dropped/. A whole backup takes the place of
everything in a directory; what was there is kept until discard-old.

Examples:
  baton sqlite backup shop shop.db
  baton sqlite restore shop.db shop --yes
  baton sqlite restore /backup/BACKUP-NAME /srv/db
  baton sqlite load dump.sql ws://127.0.0.1:6480/db/shop`;
