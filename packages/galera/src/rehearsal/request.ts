import { BatonError } from '@batondb/core/errors';

const format = 1;
const lineBytesMax = 4096;

/** What the rehearsing machine asks of the donor, on the standard input of a process there: one line of JSON. */
export type RehearsalRequest = {
  /** Where the rehearsing machine can be reached; undefined: where the login came from. */
  readonly host: string | undefined;
  readonly port: number;
  /** Of this session alone. It goes by the remote shell, which nobody reads along. */
  readonly secret: string;
  readonly fingerprint: string;
};

export function encodeRequest(request: RehearsalRequest): string {
  return `${JSON.stringify({ format, ...request })}\n`;
}

/** Throws PROTOCOL, VERSION_MISMATCH, LIMIT. */
export function decodeRequest(line: string): RehearsalRequest {
  if (line.length > lineBytesMax) throw new BatonError('LIMIT', `the request of a rehearsal has ${line.length} bytes`);
  let found: Partial<Record<keyof RehearsalRequest | 'format', unknown>>;
  try {
    found = JSON.parse(line) as typeof found;
  } catch (error) {
    throw new BatonError('PROTOCOL', 'the request of a rehearsal is not JSON', { cause: error });
  }
  if (found.format !== format) {
    const message = `the request of the rehearsal is of format ${String(found.format)}, and this node knows ${format}`;
    throw new BatonError('VERSION_MISMATCH', message, { hint: 'install the same release of baton on both machines' });
  }
  const { host, port, secret, fingerprint } = found;
  const isWord = (text: unknown): text is string => typeof text === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(text);
  const isHost = host === undefined || (typeof host === 'string' && /^[A-Za-z0-9.:_-]{1,255}$/.test(host));
  if (!isHost || !Number.isInteger(port) || !isWord(secret) || !isWord(fingerprint))
    throw new BatonError('PROTOCOL', 'the request of a rehearsal makes no sense');
  return { host, port: port as number, secret, fingerprint };
}
