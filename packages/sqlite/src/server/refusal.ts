import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import * as service from '@batondb/service/refusal';
import { SqlError } from '../engine/sql-error.ts';
import { encodeError, sqlWireError, type WireError } from '../hrana/results.ts';

// How a server says no, where SQLite's codes come beside those of every service.

/** The HTTP status of an answer that consists of an error. */
export function statusOf(error: unknown): number {
  return error instanceof SqlError ? 400 : service.statusOf(error);
}

/** Whether an error is the program's own fault. A client gets no details of it. */
export function isOurFault(error: unknown): boolean {
  return !(error instanceof SqlError) && service.isOurFault(error);
}

/** Any thrown thing as a client is told of it. */
export function toWireError(error: unknown): WireError {
  return error instanceof SqlError ? sqlWireError(error) : service.toWireError(error);
}

/** Answers a request for another protocol in HTTP, and ends its connection. */
export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const status = statusOf(error);
  const body = encodeError(toWireError(error));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
