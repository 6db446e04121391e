// What an operator has demanded of a transfer's security, in the words of other methods. Ours is always encrypted by TLS 1.3 and both sides
// prove a key; an authority is asked where that is demanded; what is demanded beyond and not done ends the transfer before it begins (G11).
import { BatonError } from '@batondb/core/errors';
import type { Role } from '../contract/call.ts';
import { type AuthorityDemand, readDemand, valueIn } from './authority.ts';
import type { Finding } from './finding.ts';
import type { OptionGroups, Options } from './option-files.ts';

/** Keys that this file judges. */
export const securityKeys: readonly string[] = [
  ...['encrypt', 'ssl-mode', 'sockopt', 'tkey', 'tcert', 'tca', 'tcapath', 'tcap', 'ssl-dhparams'],
  ...['encrypt-algo', 'encrypt-key', 'encrypt-key-file', 'encrypt-format', 'encrypt-threads', 'encrypt-chunk-size'],
  ...['ssl-ca', 'ssl-capath', 'ssl-cert', 'ssl-key', 'ssl-crl', 'ssl-crlpath', 'ssl-cipher', 'tls-version'],
  ...['ssl-server-ca', 'ssl-server-capath', 'ssl-server-cert', 'ssl-server-key'],
  ...['ssl-client-ca', 'ssl-client-capath', 'ssl-client-cert', 'ssl-client-key'],
];

/** Key files and certificates: without a demand they do nothing in other methods either. */
const certificateKeys = securityKeys.filter((key) => /^(tkey|tc|ssl-(?!mode))|^encrypt-/.test(key));

/** Those of them that a demand is met with. */
const usedWithDemand = /^(tkey|tcert|tca|tcapath|ssl-crl|ssl-(server-|client-)?(ca|capath|cert|key))$/;

/** Parts of socat's options that restrict who may connect, or how it is encrypted. */
const restrictiveSockopt =
  /(^|,)\s*(cipher|method|openssl-min|verify|cert|key|cafile|capath|commonname|cn|dhparam|range|tcpwrap|bind|fips)/i;

/** What security options come to. */
export type Security = {
  /** Undefined: certificates are made for each transfer, and pinned. */
  readonly demand: AuthorityDemand | undefined;
  /** What is passed over harmlessly. */
  readonly findings: readonly Finding[];
};

/** Throws UNSUPPORTED for a demand that is not honoured, USAGE for one that makes no sense or lacks what it needs. */
export function readSecurity(groups: OptionGroups, role: Role, dataDirectory: string): Security {
  checkEncrypt(valueIn(groups, 'encrypt'));
  checkMode(valueIn(groups, 'ssl-mode'));
  const demand = readDemand(groups, role, dataDirectory);
  const sockopt = groups.sst.get('sockopt');
  if (sockopt !== undefined && restrictiveSockopt.test(sockopt)) {
    throw refusal(`sockopt=${sockopt}`, 'restricts connections of socat, which baton does not use');
  }
  const unused = certificateKeys
    .filter((key) => groups.sst.has(key) && (demand === undefined || !usedWithDemand.test(key)))
    .map((key) => ({
      subject: `[sst] ${key}`,
      text:
        demand === undefined
          ? `${key} is not used: every transfer makes its own certificate, and the key proves both sides`
          : `${key} is not used: every transfer is encrypted by TLS 1.3 in our own way`,
      hint: `remove ${key} from [sst] when no node uses another method any more`,
    }));
  return { demand, findings: [...debugFindings(groups.server), ...unused] };
}

/** A joiner's server writes the whole `ready` line into its log then. */
function debugFindings(server: Options): Finding[] {
  const level = server.get('wsrep-debug');
  if (level === undefined || /^(0|none|off|false)$/i.test(level)) return [];
  const text = `wsrep_debug is ${level || 'on'}: the secret of each transfer is written into the error log of its joiner`;
  return [{ subject: 'wsrep_debug', text, hint: 'set wsrep_debug=NONE, or see that nobody else reads the log' }];
}

function checkEncrypt(text: string | undefined): void {
  if (text === '1') throw refusal('encrypt=1', 'asks for a cipher with a key of its own inside the stream');
  if (text === undefined || /^[0234]$/.test(text)) return;
  throw new BatonError('USAGE', `encrypt is '${text}', and has to be a number from 0 to 4`);
}

function checkMode(text: string | undefined): void {
  const mode = text?.toUpperCase();
  if (mode === undefined || ['DISABLED', 'REQUIRED', 'VERIFY_CA', 'VERIFY_IDENTITY'].includes(mode)) return;
  throw new BatonError(
    'USAGE',
    `ssl-mode is '${text}', and has to be DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY`,
  );
}

function refusal(option: string, what: string): BatonError {
  return new BatonError('UNSUPPORTED', `${option} ${what}, and that is not done here`, {
    hint: `remove it: every transfer is encrypted by TLS 1.3, and with a key file on all nodes both sides prove who they are`,
  });
}
