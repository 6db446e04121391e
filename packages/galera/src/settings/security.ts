// What an operator has demanded of a transfer's security, in the words of other methods. Ours is always encrypted by TLS 1.3 and both sides
// prove a key; what is demanded beyond that and not done ends the transfer before it begins (G11).
import { BatonError } from '@batondb/core/errors';
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

/** Key files and certificates of other methods: without a demand they do nothing there either. */
const certificateKeys = securityKeys.filter((key) => /^(tkey|tc|ssl-(?!mode))|^encrypt-/.test(key));

/** Parts of socat's options that restrict who may connect, or how it is encrypted. */
const restrictiveSockopt =
  /(^|,)\s*(cipher|method|openssl-min|verify|cert|key|cafile|capath|commonname|cn|dhparam|range|tcpwrap|bind|fips)/i;

/** Throws UNSUPPORTED for a demand that is not honoured, USAGE for one that makes no sense. Returns what is passed over harmlessly. */
export function checkSecurity(groups: OptionGroups): Finding[] {
  // The server's groups come first in MariaDB's scripts, too.
  const value = (key: string): string | undefined =>
    [groups.server, groups.sst, groups.backup].map((options) => options.get(key)).find((found) => found);
  const authority = ['tca', 'tcapath', 'ssl-ca', 'ssl-capath'].find((key) => value(key) !== undefined);
  checkEncrypt(value('encrypt'), authority);
  checkMode(value('ssl-mode'));
  const sockopt = groups.sst.get('sockopt');
  if (sockopt !== undefined && restrictiveSockopt.test(sockopt)) {
    throw refusal(`sockopt=${sockopt}`, 'restricts connections of socat, which baton does not use');
  }
  const unused = certificateKeys
    .filter((key) => groups.sst.has(key))
    .map((key) => ({
      subject: `[sst] ${key}`,
      text: `${key} is not used: every transfer makes its own certificate, and the key proves both sides`,
      hint: `remove ${key} from [sst] when no node uses another method any more`,
    }));
  return [...debugFindings(groups.server), ...unused];
}

/** A joiner's server writes the whole `ready` line into its log then. */
function debugFindings(server: Options): Finding[] {
  const level = server.get('wsrep-debug');
  if (level === undefined || /^(0|none|off|false)$/i.test(level)) return [];
  const text = `wsrep_debug is ${level || 'on'}: the secret of each transfer is written into the error log of its joiner`;
  return [{ subject: 'wsrep_debug', text, hint: 'set wsrep_debug=NONE, or see that nobody else reads the log' }];
}

/** `encrypt=3` verifies the peer where an authority is named, and only encrypts where none is, as every transfer here does. */
function checkEncrypt(text: string | undefined, authority: string | undefined): void {
  if (text === undefined || text === '0') return;
  if (text === '1') throw refusal('encrypt=1', 'asks for a cipher with a key of its own inside the stream');
  const verifies = "asks to verify the peer's certificate by an authority";
  if (text === '2' || text === '4') throw refusal(`encrypt=${text}`, verifies);
  if (text === '3' && authority !== undefined) throw refusal(`encrypt=3 with ${authority}`, verifies);
  if (text !== '3') throw new BatonError('USAGE', `encrypt is '${text}', and has to be a number from 0 to 4`);
}

function checkMode(text: string | undefined): void {
  const mode = text?.toUpperCase();
  if (mode === undefined || mode === 'DISABLED' || mode === 'REQUIRED') return;
  if (mode === 'VERIFY_CA' || mode === 'VERIFY_IDENTITY') {
    throw refusal(`ssl-mode=${mode}`, "asks to verify the peer's certificate by an authority");
  }
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
