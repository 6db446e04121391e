import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What can be asked of the server at any time. */
export type Levels = { readonly connections: number; readonly streams: number };

/** The server's own metrics, in a registry that the node's may be in, too. */
export class ServerMetrics {
  readonly registry: Registry;
  readonly #requests: Counter<'way' | 'type' | 'outcome'>;
  readonly #seconds: Histogram;

  constructor(registry: Registry, levels: () => Levels) {
    this.registry = registry;
    const registers = [registry];
    this.#requests = new Counter({
      name: 'baton_sqlite_requests_total',
      help: 'Requests that were answered, by way (http, ws), type, and outcome (ok or the code of the error)',
      labelNames: ['way', 'type', 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'baton_sqlite_http_seconds',
      help: 'Time from the head of an HTTP request to the end of its answer',
      buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60],
      registers,
    });
    for (const [name, help, level] of [
      ['baton_sqlite_connections', 'Connections, of both kinds', () => levels().connections],
      ['baton_sqlite_streams', 'Streams of clients that are open', () => levels().streams],
    ] as const) {
      const gauge: Gauge = new Gauge({ name, help, registers, collect: () => gauge.set(level()) });
    }
  }

  answered(way: 'http' | 'ws', type: string, outcome: string): void {
    this.#requests.inc({ way, type, outcome });
  }

  took(seconds: number): void {
    this.#seconds.observe(seconds);
  }
}
