import { BatonError } from '@batondb/core/errors';
import { makeToken, type Right, rights, type TokenRecord } from './token.ts';
import { readTokens, updateTokens } from './token-file.ts';

// What the commands called `token` do. A server that runs takes notice at once.

const nameCharactersMax = 255;

/** What is shown of a token that exists. */
export type TokenSummary = Omit<TokenRecord, 'hash'>;

/** Makes a token and returns its text, which cannot be had again. Throws USAGE for a name that is taken or no right. */
export function createToken(path: string, name: string, allowed: readonly Right[]): string {
  if (allowed.length === 0)
    throw new BatonError('USAGE', `the token ${name} would have no right`, { hint: `there are ${rights.join(', ')}` });
  if (name === '' || name.length > nameCharactersMax)
    throw new BatonError('USAGE', `a token's name has 1 to ${nameCharactersMax} characters`);
  const { token, record } = makeToken(name, allowed, Date.now());
  updateTokens(path, (tokens) => {
    if (tokens.some((one) => one.name === name))
      throw new BatonError('USAGE', `there is a token ${name} already`, {
        hint: 'revoke it first, or choose another name',
      });
    return [...tokens, record];
  });
  return token;
}

/** All tokens, the oldest first; without their secrets, which nobody has. */
export function listTokens(path: string): TokenSummary[] {
  return (readTokens(path) ?? []).map((record) => ({
    id: record.id,
    name: record.name,
    rights: record.rights,
    createdMs: record.createdMs,
  }));
}

/** Makes a token, by its name or number, worthless at once. Throws NOT_FOUND. */
export function revokeToken(path: string, nameOrId: string): void {
  updateTokens(path, (tokens) => {
    const left = tokens.filter(({ id, name }) => id !== nameOrId && name !== nameOrId);
    if (left.length === tokens.length) throw new BatonError('NOT_FOUND', `there is no token ${nameOrId}`);
    return left;
  });
}
