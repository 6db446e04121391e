import { statSync } from 'node:fs';
import { Refusal } from '../refusal.ts';
import { allows, findRecord, type Right, type TokenRecord } from './token.ts';
import { readTokens } from './token-file.ts';

/** Who a client is: the number of its token, or nobody in particular where none is needed. */
export type Grant = { readonly tokenId: string | undefined; readonly rights: readonly Right[] };

const everything: Grant = { tokenId: undefined, rights: ['read', 'write', 'join'] };

/**
 * Decides who may do what. Where a file of tokens exists one is needed, also when the last one in it was revoked, and once one was
 * needed it stays so: a server that was closed to others does not open by itself (S4).
 */
export class TokenGate {
  readonly #path: string | undefined;
  #tokens: readonly TokenRecord[] | undefined;
  #seen = '';

  /** Without a path nobody needs a token. Throws what `readTokens` throws. */
  constructor(path: string | undefined) {
    this.#path = path;
    this.#refresh();
  }

  get needsToken(): boolean {
    this.#refresh();
    return this.#tokens !== undefined;
  }

  /** How many tokens there are now. */
  get tokens(): number {
    this.#refresh();
    return this.#tokens?.length ?? 0;
  }

  /** What a client may do that has sent this token. Throws UNAUTHORIZED. */
  admit(token: string | undefined): Grant {
    this.#refresh();
    if (this.#tokens === undefined) return everything;
    if (token === undefined) throw new Refusal('UNAUTHORIZED', 'this server needs a token, and none was sent');
    const record = findRecord(token, this.#tokens);
    if (record === undefined) throw new Refusal('UNAUTHORIZED', 'the token is not one of this server, or was revoked');
    return { tokenId: record.id, rights: record.rights };
  }

  /** Throws UNAUTHORIZED when the token behind a grant was revoked meanwhile, or one has come to be needed. */
  recheck({ tokenId }: Grant): void {
    this.#refresh();
    if (this.#tokens === undefined || this.#tokens.some(({ id }) => id === tokenId)) return;
    throw new Refusal('UNAUTHORIZED', 'the token was revoked');
  }

  /** Reads the file anew when it was replaced: two microseconds for a request, and revoking needs no signal. */
  #refresh(): void {
    if (this.#path === undefined) return;
    const stats = statSync(this.#path, { bigint: true, throwIfNoEntry: false });
    const seen = stats === undefined ? '' : `${stats.ino}:${stats.mtimeNs}:${stats.size}`;
    if (seen === this.#seen) return;
    this.#tokens = readTokens(this.#path) ?? (this.#tokens === undefined ? undefined : []);
    this.#seen = seen;
  }
}

/** Throws FORBIDDEN for a grant without a right. */
export function requireRight(grant: Grant, right: Right): void {
  if (!allows(grant.rights, right)) throw new Refusal('FORBIDDEN', `the token does not have the right to ${right}`);
}
