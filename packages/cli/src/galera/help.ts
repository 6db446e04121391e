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

const whichNode = `Which node: that of this machine's server, or by the options that another one is
started with, before or behind --.`;

export const checkExamples: string = `Changes nothing. Each finding is ok, a warning, or an error that keeps transfers from
working, with the next step. Exit code 30: there is an error.
${whichNode}

Examples:
  sudo baton galera check
  sudo baton galera check --defaults-file /etc/mysql/node2.cnf --json`;

export const statusExamples: string = `${whichNode}

Examples:
  baton galera status
  watch baton galera status --datadir /srv/mysql`;

export const recoverExamples: string = `Finishes or undoes a swap of data that was cut short, removes what a failed transfer
had received, and gives the node its position back where its old data is whole, so
that it can take an incremental transfer. Does nothing where nothing is to be done.
To be run while the server is stopped; install has systemd run it before each start.
${whichNode}

Examples:
  sudo -u mysql baton galera recover
  sudo -u mysql baton galera recover -- --defaults-group-suffix=.2`;

export const rehearseExamples: string = `A donor gives a hot backup as it would to a joiner, and stays in its cluster as it is;
no node leaves. What is left is a prepared backup that knows its position. The donor
needs baton galera install, and a login as root or as the user of its server.

Examples:
  sudo baton galera rehearse --donor root@db1 --dir /srv/rehearsal
  baton galera rehearse --donor db1 --dir /srv/r --ssh 'ssh -l mysql' --json`;
