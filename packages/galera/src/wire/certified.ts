import { BatonError } from '@batondb/core/errors';
import type { Authority } from '@batondb/core/transport/authority';
import type { Identity } from '@batondb/core/transport/certificate';

/** What a node has where its operator demands that an authority vouches for both sides of a transfer. */
export type Certified = {
  readonly identity: Identity;
  readonly authority: Authority;
  /** Whether the joiner's certificate has to be for the address that its donor connects to. Of the donor no name is asked: a joiner does not choose it. */
  readonly isForHost: boolean;
  /** The option that demands it, for people: `ssl-mode=VERIFY_CA`. */
  readonly demand: string;
};

/** A peer whose certificate is not taken. `distrust` is the reason, as core says it. */
export function notVouchedFor(name: string, distrust: string, { demand }: Pick<Certified, 'demand'>): BatonError {
  return new BatonError(
    'NOT_TRUSTED',
    `${name} has a certificate that ${demand} on this side does not let through: ${distrust}`,
    {
      hint: 'demand the same on all nodes, in [sst], with certificates of one authority; baton galera check looks at them',
    },
  );
}
