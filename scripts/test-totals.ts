// Adds up the closing lines of several runs of Node's test runner.

const counters = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo', 'duration_ms'] as const;
type Counter = (typeof counters)[number];

/** What Node's test runner tells, as far as it matters here. */
export type RunnerEvent = { readonly type: string; readonly data: unknown };

type DiagnosticEvent = {
  readonly type: 'test:diagnostic';
  readonly data: { readonly message: string; readonly nesting: number };
};

/** Takes the closing lines out of the runs' events, and gives them back once, as sums. */
export class Totals {
  readonly #sums = new Map<Counter, number>();

  /** True when the event was a closing line, which is now counted and not to be shown. */
  take(event: RunnerEvent): boolean {
    if (event.type === 'test:summary') return true;
    if (event.type !== 'test:diagnostic') return false;
    const { message, nesting } = event.data as DiagnosticEvent['data'];
    const [name, value, ...rest] = message.split(' ');
    const counter = counters.find((known) => known === name);
    const number = Number(value);
    if (nesting !== 0 || rest.length > 0 || counter === undefined || Number.isNaN(number)) return false;
    this.#sums.set(counter, this.#sum(counter) + number);
    return true;
  }

  /** The closing lines of one run with everything in it, in the order Node prints them. */
  *closingEvents(): Generator<DiagnosticEvent> {
    for (const counter of counters) {
      yield { type: 'test:diagnostic', data: { nesting: 0, message: `${counter} ${this.#sum(counter)}` } };
    }
  }

  /** Why the whole did not pass. A test that is left out proves nothing, so none is. */
  complaints(): string[] {
    const complaints: string[] = [];
    if (this.#sum('tests') === 0) complaints.push('no test ran');
    for (const counter of ['fail', 'cancelled', 'skipped', 'todo'] as const) {
      if (this.#sum(counter) > 0) complaints.push(`${counter}: ${this.#sum(counter)}, and must be 0`);
    }
    return complaints;
  }

  #sum(counter: Counter): number {
    return this.#sums.get(counter) ?? 0;
  }
}
