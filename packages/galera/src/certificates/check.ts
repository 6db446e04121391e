import type { X509Certificate } from 'node:crypto';
import { BatonError } from '@batondb/core/errors';
import { isFor, namesOf } from '@batondb/core/transport/authority';
import { judgeOwn } from '@batondb/core/transport/own-certificate';
import type { Role } from '../contract/call.ts';
import type { AuthorityDemand } from '../settings/authority.ts';
import { unusable } from './files.ts';
import type { CertificateFiles } from './read.ts';

/**
 * Has the certificate judged as the other side of a transfer will judge it. `host`: where a donor connects to this node, if that is known. Throws USAGE, naming the file and the
 * next step.
 */
export async function checkCertificate(
  files: CertificateFiles,
  { certificateFile }: AuthorityDemand,
  role: Role,
  host: string | undefined,
): Promise<void> {
  const { identity, authority, certificate, authorityPath, isForHost } = files;
  checkDates(certificate, certificateFile);
  const { asServer, asClient } = await judgeOwn(identity, authority).catch((error: unknown) => {
    const { message } = error as Error;
    throw unusable(certificateFile, `cannot be used with ${authorityPath}: ${message}`, 'ssl-cert');
  });
  const distrust = role === 'joiner' ? asServer : asClient;
  if (distrust !== undefined) {
    const use = role === 'joiner' ? 'serverAuth, for it joins' : 'clientAuth, for it gives';
    throw new BatonError('USAGE', `${certificateFile} is not taken by nodes that ask ${authorityPath}: ${distrust}`, {
      hint: `have a certificate issued by that authority to this node; if its extended key usage is restricted, it needs ${use}`,
    });
  }
  if (role !== 'joiner' || !isForHost || host === undefined || isFor(certificate, host)) return;
  throw new BatonError(
    'USAGE',
    `${certificateFile} is for ${namesOf(certificate)}, and donors connect to ${host}, which ${files.demand} has them compare`,
    {
      hint: `have it issued with a subjectAltName of ${host}, name one of its own in wsrep_sst_receive_address, or set ssl-mode=VERIFY_CA`,
    },
  );
}

/** A certificate that has expired, or is of tomorrow, is told with its dates. */
function checkDates({ validFromDate, validToDate }: X509Certificate, path: string): void {
  const now = new Date();
  if (validToDate < now) throw unusable(path, `has expired on ${dayOf(validToDate)}`, 'ssl-cert');
  if (validFromDate > now) {
    throw new BatonError('USAGE', `${path} is not valid before ${dayOf(validFromDate)}`, {
      hint: 'look at the clock of this machine',
    });
  }
}

/** `2026-11-22`. */
export function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
