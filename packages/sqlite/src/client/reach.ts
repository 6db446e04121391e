import type { IncomingMessage } from 'node:http';
import { BatonError } from '@batondb/core/errors';
import { parseMessage } from '../hrana/json.ts';
import { formatLocation, type Location } from './location.ts';
import { decodeError, toError } from './remote-error.ts';

// What WebSockets and plain requests to a server have in common: who asks, and what went wrong before there was an answer.

/** What is said to a server besides its address. */
export type ServerAccess = {
  readonly token?: string;
  /** Certificates to trust in place of the system's, PEM. */
  readonly ca?: string;
};

/** A refusal is a line of JSON. */
const refusalBytesMax = 65_536;

/** The error that an answer of HTTP other than the one that was hoped for stands for. */
export async function readRefusal(response: IncomingMessage, location: Location): Promise<BatonError> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > refusalBytesMax) break;
    chunks.push(chunk);
  }
  try {
    return toError(decodeError(parseMessage(Buffer.concat(chunks).toString()), undefined));
  } catch {
    const { statusCode = 0 } = response;
    const what = `${formatLocation(location)} answered with HTTP ${statusCode}`;
    // So says what stands before a server that is not there.
    if (statusCode >= 500) return new BatonError('UNREACHABLE', what, { retryable: true });
    return new BatonError('PROTOCOL', what, { hint: 'look whether this is the address of a baton sqlite server' });
  }
}

/** Codes of OpenSSL's verification (X509_verify_cert_error_string), as Node names them, and of Node's own check of the name. */
const certificateCodes =
  /^(?:ERR_TLS_CERT_|CERT_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(?:GET_ISSUER|VERIFY_LEAF))/;

/** What a failed connection is to a person. */
export function toConnectError(error: Error, location: Location): BatonError {
  const { code = '' } = error as NodeJS.ErrnoException;
  const where = formatLocation(location);
  if (certificateCodes.test(code)) {
    return new BatonError('NOT_TRUSTED', `the certificate of ${where} is not to be trusted: ${error.message}`, {
      cause: error,
      hint: 'give the certificate of the authority that signed it: --ca, or --follow-ca of a replica',
    });
  }
  const isRefused = code === 'ECONNREFUSED' || code === 'ENOENT';
  return new BatonError('UNREACHABLE', `no server answers at ${where}: ${error.message || code}`, {
    cause: error,
    retryable: true,
    hint: isRefused
      ? 'start one with baton sqlite serve, or look at the address'
      : 'look at the address: a server with a certificate is reached by wss://, one without by ws://',
  });
}
