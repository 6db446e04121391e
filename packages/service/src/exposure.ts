import { BatonError } from '@batondb/core/errors';
import { type Address, formatAddress, isLocal } from './address.ts';

// Who may reach a server in which way. The default is safe: what is open has to be said.

export type ExposureChoice = {
  readonly address: Address;
  /** A certificate was given. */
  readonly hasTls: boolean;
  /** There is at least one token. */
  readonly hasTokens: boolean;
  /** Whoever can connect may do everything. */
  readonly noAuth: boolean;
  /** Something in front of the server speaks TLS for it. */
  readonly behindProxy: boolean;
  /** The command that makes a token, for the hint. */
  readonly tokenCommand: string;
};

/** Throws USAGE for a server that others could reach without a token, or whose tokens others could read on the way (S1). */
export function checkExposure(choice: ExposureChoice): void {
  const { address, hasTls, hasTokens, noAuth, behindProxy, tokenCommand } = choice;
  if (isLocal(address)) return;
  const where = formatAddress(address);
  if (!hasTokens && !noAuth) {
    throw new BatonError('USAGE', `${where} can be reached from other machines, and there is no token`, {
      hint: `make one with ${tokenCommand}, or say --no-auth to let everybody read and write`,
    });
  }
  if (!hasTls && !behindProxy) {
    throw new BatonError('USAGE', `${where} can be reached from other machines, and there is no certificate`, {
      hint: 'give --tls-cert and --tls-key, or say --behind-proxy if something in front of it speaks TLS',
    });
  }
}
