import type { Call } from '../contract/call.ts';
import type { AuthorityDemand } from '../settings/authority.ts';
import { checkCertificate } from './check.ts';
import { type CertificateFiles, readCertificates } from './read.ts';

/** What a demand's files hold, and that the other side will take it, before anybody connects; undefined without a demand. Throws what reading and checking them throws. */
export async function useCertificates(
  demand: AuthorityDemand | undefined,
  { role, address }: Pick<Call, 'role' | 'address'>,
): Promise<CertificateFiles | undefined> {
  if (demand === undefined) return undefined;
  const files = readCertificates(demand);
  await checkCertificate(files, demand, role, role === 'joiner' ? address.host : undefined);
  return files;
}
