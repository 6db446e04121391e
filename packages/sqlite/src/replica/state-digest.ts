import { blake3 } from '@napi-rs/blake-hash';
import type { DatabaseStatus } from '../node/request.ts';

const digestBytes = 16;

/** What tells two states apart that are at the same position of histories that went apart: all databases, with their checksums. */
export function stateDigest(databases: readonly DatabaseStatus[]): string {
  const facts = databases
    .map(({ id, name, pageBytes, pageCount, sequence, checksum }) => [
      id,
      name,
      pageBytes,
      pageCount,
      sequence,
      checksum,
    ])
    .sort(([one], [other]) => Number(one) - Number(other));
  return blake3(JSON.stringify(facts))
    .toString('hex')
    .slice(0, digestBytes * 2);
}
