import { BatonError } from '@batondb/core/errors';

/** A place in a cluster's history, `UUID:SEQNO`, with the domain that MariaDB keeps beside it. */
export type GaleraPosition = {
  /** Of the cluster's state, in lower case. */
  readonly uuid: string;
  /** -1 when it is not known. */
  readonly seqno: bigint;
  /** `wsrep_gtid_domain_id`; PXC and the documented form know none. */
  readonly domainId: number | undefined;
};

const form = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(-?\d{1,19})(?: (\d{1,10}))?$/i;

/** Reads `UUID:SEQNO` or `UUID:SEQNO DOMAIN`, as `--gtid` and the file `tables_flushed` have it. Throws PROTOCOL. */
export function parsePosition(text: string): GaleraPosition {
  const [, uuid, seqno, domain] = form.exec(text.trim()) ?? [];
  if (uuid === undefined || seqno === undefined) {
    throw new BatonError('PROTOCOL', `'${text.trim().slice(0, 100)}' is not a position of the form UUID:SEQNO`);
  }
  return {
    uuid: uuid.toLowerCase(),
    seqno: BigInt(seqno),
    domainId: domain === undefined ? undefined : Number(domain),
  };
}

/** `UUID:SEQNO`, without the domain. */
export function formatPosition(position: GaleraPosition): string {
  return `${position.uuid}:${position.seqno}`;
}
