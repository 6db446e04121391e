import { exitCodeMeanings } from './exit-codes.ts';

// Longer texts of the help, apart from the grammar.

export const targetHelp = `The source lands in the target directory under its own name, or the one given
with --as. A trailing slash changes nothing, nothing existing is ever
overwritten, and the same command given again continues a copy that was broken
off.`;

export const typeHelp = `Types:
  file         a file or a directory tree
  decompress   what a .tar, .tar.gz, .tgz or .tar.zst holds, into an empty directory
  mariadb      a hot backup of the server whose socket SOURCE is, into an empty
               directory; xtrabackup is the same`;

export const copyExamples = `Examples:
  baton copy db1:/srv/dump.sql db2:/srv db3:/srv      a file to two hosts, sent once by db1
  baton copy /srv/www backup@[2001:db8::7]:/backup    a local tree to a host by its IPv6 address
  baton copy db1:/srv/data @replicas.txt --dry-run    the plan for a list of targets
  baton copy --update db1:/srv/data db2:/srv          send what differs from the copy there
  baton copy --sudo --bwlimit 800Mbit --verify disk db1:/srv/data db2:/srv
  baton copy --type mariadb --prepare db1:/run/mysqld/mysqld.sock db2:/var/lib/mysql
  baton copy --type mariadb --incremental /b/sun db1:/run/s.sock db2:/b/mon   what changed since
  baton copy --exec 'mysqldump shop' db1:shop.sql backup:/backup     what a command on db1 prints
  baton copy --type decompress db1:/b/x.tar.gz db2:/srv/x   unpack an archive there
  baton copy clean db2:/srv                           remove what abandoned copies left there
  baton copy forget db1 db2                           remove the batons that were carried there`;

export const verifyExamples = `Nothing is written, neither to the hosts nor anywhere else. Content is read from
the disks and compared by digests; it does not leave its host.

Examples:
  baton verify db1:/srv/data db2:/srv db3:/srv        the operands of the copy that made them
  baton verify --quick db1:/srv/data @replicas.txt    without reading the files
  baton verify --ignore owner,times /srv/www backup:/srv --as www-old

Exit codes: 0 the same, 25 different, 20 not all could be compared; the others
are those of a copy: baton help exit-codes`;
export const defaultsHelp = 'Defaults of your own, from files: baton config --help';

export const configHelp = `Defaults for the options of copy and copy clean, and below sqlite: for those of
sqlite serve, come from /etc/baton/config.yaml, then from
$XDG_CONFIG_HOME/baton/config.yaml (~/.config/baton/config.yaml), and the
command line wins. Keys are the long names of options:

  copy:
    bwlimit: 200MB
    exclude: ['*.log', /cache]
    sudo-on: [db1, db2]
  sqlite:
    listen: 127.0.0.1:7000

--no-NAME on the command line takes back a flag, a list or a limit of a file:
--no-bwlimit, --no-exclude, --no-sudo. More: docs/configuration.md`;

export const exitCodeHelp = 'Exit codes: baton help exit-codes';

const endpoints = `A source or target is one of
  [user@]host:path                 a host as the ssh configuration knows it
  [user@][2001:db8::1]:path        an IPv6 address
  path                             here; a slash before the first colon makes it local: ./odd:name
Relative paths of a host start in the login directory, those of this machine in
the current one.

@FILE as a target reads a list: one [user@]host:directory a line; blank lines
and lines that begin with # are skipped. @- reads it from standard input.
A local directory whose name begins with @ is written ./@name, a source named
clean ./clean, one named forget ./forget.
`;

const exitCodesText = `The exit code is the gravest (largest) of what happened:
${exitCodeMeanings.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`).join('\n')}
`;

/** Topics of `baton help TOPIC` beside the commands. */
export const helpTopics: Readonly<Record<string, string>> = { 'exit-codes': exitCodesText, endpoints };
