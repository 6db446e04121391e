import { isLoopback } from './address.ts';
import { Refusal } from './refusal.ts';

// Web pages that a person of this machine looks at can send requests, too, and without a token nothing else tells them from a client.
// A browser tells, by headers that a page cannot forge: Fetch Standard, "Origin"; RFC 9110, 7.2 (Host).

/** The headers that the guard reads. */
export type GuardedHeaders = {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly 'content-type'?: string | undefined;
  readonly 'content-encoding'?: string | undefined;
};

export type GuardSettings = {
  /** Origins that were allowed, lower case. */
  readonly origins: readonly string[];
  /** Names that were allowed, lower case. */
  readonly hosts: readonly string[];
  /**
   * Without tokens on a loopback address the name counts: a page of evil.example may let that name point to 127.0.0.1, and is then of the
   * same origin as we are (DNS rebinding).
   */
  readonly checksHost: boolean;
};

/** Throws ORIGIN_REFUSED or HOST_REFUSED for what a web page sent that was not allowed (S2). */
export function checkSender(headers: GuardedHeaders, settings: GuardSettings): void {
  const host = headers.host?.toLowerCase() ?? '';
  if (settings.checksHost && !isOwnName(nameOf(host), settings.hosts)) {
    throw new Refusal(
      'HOST_REFUSED',
      `the Host header says "${host}", which is no name of this machine that is known here`,
    );
  }
  const origin = headers.origin?.toLowerCase();
  if (origin === undefined || settings.origins.includes(origin)) return;
  // A page of this very server. Behind a proxy it may be https where we see http.
  if (origin === `http://${host}` || origin === `https://${host}`) return;
  throw new Refusal('ORIGIN_REFUSED', `a web page of ${origin} is not allowed to use this server`);
}

/** Throws WRONG_TYPE for a body of another type, which a form could have sent, or that would have to be unpacked first. */
export function checkType(headers: GuardedHeaders, wanted: string): void {
  const [type = ''] = (headers['content-type'] ?? '').split(';', 1);
  if (type.trim().toLowerCase() !== wanted) throw new Refusal('WRONG_TYPE', `the Content-Type must be ${wanted}`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity')
    throw new Refusal('WRONG_TYPE', `a body with the Content-Encoding ${encoding} is not read`);
}

function isOwnName(name: string, hosts: readonly string[]): boolean {
  return isLoopback(name) || hosts.includes(name);
}

/** `[::1]:6480` is ::1, `localhost:6480` is localhost. */
function nameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host)?.[1];
  return bracketed ?? host.replace(/:\d*$/, '');
}
