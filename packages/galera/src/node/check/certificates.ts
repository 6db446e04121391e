import { statSync } from 'node:fs';
import { checkCertificate, dayOf } from '../../certificates/check.ts';
import { type CertificateFiles, readCertificates } from '../../certificates/read.ts';
import { parseAddress } from '../../contract/address.ts';
import type { Role } from '../../contract/call.ts';
import type { AuthorityDemand } from '../../settings/authority.ts';
import { readSettings } from '../../settings/settings.ts';
import { runProgram } from '../run-program.ts';
import { userIdOf } from '../users.ts';
import { type CheckFinding, findingOf, ok, problem, warning } from './finding.ts';
import type { Node } from './node.ts';

/** Soon enough to have another one issued, and to bring it to all nodes. */
const expiryMsMin = 30 * 24 * 60 * 60 * 1000;
const others = 0o007;

const subject = 'certificates';

/** The certificates that an operator demands, in both roles: readable for the server, good for the other side, and for how long. */
export async function checkCertificates({ read, options }: Node, signal: AbortSignal): Promise<CheckFinding[]> {
  if (read === undefined) return [];
  const asDonor = await readSettings({ ...options.call, role: 'donor' }, signal);
  const host = hostOf(options.server);
  const roles: readonly (readonly [Role, AuthorityDemand | undefined])[] = [
    ['joiner', read.demand],
    ['donor', asDonor.demand],
  ];
  const findings: CheckFinding[] = [];
  for (const [role, demand] of roles) {
    if (demand !== undefined) findings.push(...(await checkRole(role, demand, host, signal)));
  }
  // Most nodes have the same files for both roles.
  return findings.filter(({ text }, index) => findings.findIndex((other) => other.text === text) === index);
}

async function checkRole(
  role: Role,
  demand: AuthorityDemand,
  host: string | undefined,
  signal: AbortSignal,
): Promise<CheckFinding[]> {
  try {
    const files = readCertificates(demand);
    await checkCertificate(files, demand, role, host);
    return [judged(files, demand), ...checkModes(demand), ...(await checkReaders(demand, signal))];
  } catch (error) {
    return [findingOf(subject, error)];
  }
}

function judged(
  { certificate, authorities, authorityPath }: CertificateFiles,
  { certificateFile, option }: AuthorityDemand,
): CheckFinding {
  const text = `${certificateFile} is of ${authorityPath} and good until ${dayOf(certificate.validToDate)}; ${option} demands the like of all nodes`;
  const own = authorities.filter(({ validToDate }) => validToDate > new Date());
  const ends = [
    { path: certificateFile, validToDate: certificate.validToDate },
    ...own.map(({ validToDate }) => ({ path: authorityPath, validToDate })),
  ];
  const soon = ends.find(({ validToDate }) => validToDate.getTime() - Date.now() < expiryMsMin);
  if (soon === undefined) return ok(subject, text);
  return warning(
    subject,
    `${soon.path} expires on ${dayOf(soon.validToDate)}, and no transfer works then`,
    `bring a new one to ${soon.path}; nothing has to be restarted for it`,
  );
}

function checkModes({ keyFile }: AuthorityDemand): CheckFinding[] {
  const mode = statSync(keyFile).mode & 0o777;
  if ((mode & others) === 0) return [];
  const text = `${keyFile} has mode ${mode.toString(8)}: whoever can read it can give and take the data in the name of this node`;
  return [warning(subject, text, `chmod 640 ${keyFile}, and see that its group is mysql`)];
}

/** Transfers run as the server's user, and this check as root. */
async function checkReaders(demand: AuthorityDemand, signal: AbortSignal): Promise<CheckFinding[]> {
  if (process.geteuid?.() !== 0 || userIdOf('mysql') === undefined) return [];
  const { certificateFile, keyFile, authorityFile, authorityDirectory, revocationFile } = demand;
  const paths = [certificateFile, keyFile, authorityFile, authorityDirectory, revocationFile];
  const findings: CheckFinding[] = [];
  for (const path of new Set(paths.filter((each) => each !== undefined))) {
    const asMysql = ['setpriv', '--reuid=mysql', '--regid=mysql', '--init-groups', 'test', '-r', path];
    const { code } = await runProgram(asMysql, signal);
    if (code === 0) continue;
    const next = `chgrp mysql ${path} && chmod g+r ${path}, and let mysql enter the directories above it`;
    findings.push(problem(subject, `${path} cannot be read by the user mysql`, next));
  }
  return findings;
}

/** Where donors connect to, if the options say it. */
function hostOf(server: ReadonlyMap<string, string>): string | undefined {
  const said = [server.get('wsrep-sst-receive-address'), server.get('wsrep-node-address')].find(
    (each) => each !== undefined && each !== '' && each.toUpperCase() !== 'AUTO',
  );
  return said === undefined ? undefined : parseAddress(said).host;
}
