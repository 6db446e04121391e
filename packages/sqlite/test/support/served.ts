// A server on a free port over databases of a test, and how to talk to it without a client library.
import assert from 'node:assert/strict';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { type RunningServer, type ServerOptions, startServer } from '../../src/server/server.ts';
import { NodeSqliteDatabases } from './node-sqlite-databases.ts';

/** A server with its databases. Disposing stops it, complains of faults, and removes everything. */
export class Served implements AsyncDisposable {
  readonly server: RunningServer;
  readonly databases: NodeSqliteDatabases;
  readonly sandbox: Sandbox;
  readonly faults: unknown[];

  constructor(server: RunningServer, databases: NodeSqliteDatabases, sandbox: Sandbox, faults: unknown[]) {
    this.server = server;
    this.databases = databases;
    this.sandbox = sandbox;
    this.faults = faults;
  }

  /** `http://127.0.0.1:PORT` and a path. */
  url(path = '', scheme = 'http'): string {
    return `${scheme}://${this.server.address}${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await this.sandbox[Symbol.asyncDispose]();
    assert.deepEqual(this.faults, [], 'the server was at fault');
  }
}

/** Starts a server on a free port of the loopback, unless the options say otherwise. */
export async function serve(
  options: Partial<Omit<ServerOptions, 'onFault'>> = {},
  sandbox: Sandbox = makeSandbox(),
): Promise<Served> {
  const databases = new NodeSqliteDatabases(sandbox.path);
  const faults: unknown[] = [];
  const onFault = (fault: unknown): unknown => faults.push(fault);
  const server = await startServer(databases, { listen: '127.0.0.1:0', ...options, onFault });
  return new Served(server, databases, sandbox, faults);
}

export type Json = Readonly<Record<string, unknown>>;

/** What came back from one HTTP request. */
export type Reply = { readonly status: number; readonly headers: Headers; readonly body: Json };

/** Sends JSON, or a text as it is. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Json };
}

/** A request that executes one statement. */
export function execute(sql: string, args: readonly unknown[] = []): Json {
  return { type: 'execute', stmt: { sql, args } };
}

/** The results of a pipeline: the response of each, or the error. */
export function resultsOf({ body }: Reply): Json[] {
  const results = body['results'] as readonly Json[];
  return results.map((result) => (result['response'] ?? result['error']) as Json);
}

/** The result in a response that has one. */
export function resultOf(response: Json | undefined): Json {
  assert.ok(response?.['result'], JSON.stringify(response));
  return response['result'] as Json;
}

/** The values of all rows of an execute's response, as they are on the wire. */
export function valuesOf(response: Json | undefined): unknown[][] {
  const { rows } = resultOf(response) as { readonly rows: readonly (readonly { readonly value?: unknown }[])[] };
  return rows.map((row) => row.map(({ value }) => value ?? null));
}
