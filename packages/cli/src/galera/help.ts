// Longer texts of the help of `baton galera`, apart from its grammar.

export const doorHelp = `On every node: install, bring the key of the first one to the others, and write
wsrep_sst_method=baton below [mysqld]. The server does the rest: docs/galera.md

Examples:
  sudo baton galera install
  sudo baton galera check
  baton galera status

Every command has more: baton galera install --help
Exit codes: docs/exit-codes.md`;

export const installExamples = `Installs below /usr/local/lib/baton all that the server needs, Node included: what is
in a home directory is out of its reach. Puts wsrep_sst_baton on its path, makes
/etc/mysql/baton.key unless it is there, and has systemd finish or undo an
interrupted swap of data before the server starts. Then runs it once as user mysql.
Running servers are not touched. The same command brings it up to date.

Examples:
  sudo baton galera install
  baton galera install --dry-run | less
  baton galera install --root /tmp/image               for an image or a package`;

export const uninstallExamples = `Removes what install has put there, by the list that it has left. Files that were
changed since are left, and so is the key.

Examples:
  sudo baton galera uninstall
  sudo baton galera uninstall --with-key`;

export const keyExamples = `The key proves a donor to a joiner and a joiner to a donor, so every node needs the
same one. Compare fingerprints; they tell nothing of the key.

Examples:
  sudo baton galera key
  sudo baton galera key --create
  sudo cat /etc/mysql/baton.key | ssh root@db2 \\
    'install -m 640 -o root -g mysql /dev/stdin /etc/mysql/baton.key'`;
