// A service manager, as far as services tell it something: sd_notify(3).
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Binds a datagram socket, says so, and prints every datagram that comes. */
const receiver = `
  use Socket; $| = 1;
  socket(S, PF_UNIX, SOCK_DGRAM, 0) && bind(S, pack_sockaddr_un($ARGV[0])) or die $!;
  print "bound\\n"; while (defined recv(S, my $text, 4096, 0)) { print $text; }`;

/** A manager that listens. Disposing ends it. */
export class Manager implements AsyncDisposable {
  readonly #child: ChildProcess;
  #told = '';

  constructor(path: string) {
    this.#child = spawn('perl', ['-e', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (piece: string) => (this.#told += piece));
  }

  /** Waits until it was told something; the rest of what it was told comes next. */
  async hears(what: RegExp): Promise<void> {
    for (;;) {
      const found = what.exec(this.#told);
      if (found !== null) {
        this.#told = this.#told.slice(found.index + found[0].length);
        return;
      }
      await once(this.#child.stdout!, 'data');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'close');
  }
}
