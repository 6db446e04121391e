import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

// An ephemeral identity: an Ed25519 key and a certificate signed by itself. RFC 5280 (profile), RFC 8410 (Ed25519), X.690 (DER).
// Nobody validates a path here: the peer compares the certificate's fingerprint. Names and dates are there because the format has them.

/** A node's identity: for one job, or issued by an authority. The key never leaves the host that has it. */
export type Identity = {
  readonly privateKeyPem: string;
  /** Behind the certificate those on the way to its authority may stand. */
  readonly certificatePem: string;
  /** SHA-256 of the certificate (DER), 64 hexadecimal digits. */
  readonly fingerprint: string;
};

const dayMs = 24 * 60 * 60 * 1000;

/** From a day ago, since clocks differ, to longer than any copy runs. */
const validBeforeNowMs = dayMs;
const validAfterNowMs = 30 * dayMs;

// X.690, 8.1.2: identifier octets of the types used here.
const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  explicit0: 0xa0,
  explicit3: 0xa3,
} as const;

// Object identifiers as they are encoded: 1.3.101.112 (RFC 8410, 3), 2.5.4.3 and 2.5.29.19 (RFC 5280, 4.2.1.9 and A.1).
const ed25519 = der(tags.objectIdentifier, Buffer.from('2b6570', 'hex'));
const commonName = der(tags.objectIdentifier, Buffer.from('550403', 'hex'));
const basicConstraints = der(tags.objectIdentifier, Buffer.from('551d13', 'hex'));

/** Makes a new key and a certificate for it; `now` in milliseconds since 1970. */
export function makeIdentity(now: number = Date.now()): Identity {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const algorithm = der(tags.sequence, ed25519);
  const toBeSigned = der(
    tags.sequence,
    der(tags.explicit0, der(tags.integer, Buffer.of(2))), // version 3
    der(tags.integer, positiveSerial()),
    algorithm,
    name(),
    der(tags.sequence, time(now - validBeforeNowMs), time(now + validAfterNowMs)),
    name(),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(tags.explicit3, der(tags.sequence, notAnAuthority())),
  );
  const signature = sign(null, toBeSigned, privateKey);
  const certificate = der(tags.sequence, toBeSigned, algorithm, der(tags.bitString, Buffer.of(0), signature));
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificatePem: pem(certificate),
    fingerprint: fingerprintOf(certificate),
  };
}

/** SHA-256 of a certificate in DER, 64 hexadecimal digits. */
export function fingerprintOf(certificateDer: Uint8Array): string {
  return createHash('sha256').update(certificateDer).digest('hex');
}

/** RFC 5280, 4.1.2.2: at most 20 octets and positive. */
function positiveSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

/** A name with the one attribute CN=baton. */
function name(): Buffer {
  const attribute = der(tags.sequence, commonName, der(tags.utf8String, Buffer.from('baton')));
  return der(tags.sequence, der(tags.set, attribute));
}

function notAnAuthority(): Buffer {
  const critical = der(tags.boolean, Buffer.of(0xff));
  return der(tags.sequence, basicConstraints, critical, der(tags.octetString, der(tags.sequence)));
}

/** RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. */
function time(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/\.\d+/, '').replace(/[-:T]/g, '');
  const isShort = digits < '2050';
  return der(isShort ? tags.utcTime : tags.generalizedTime, Buffer.from(isShort ? digits.slice(2) : digits));
}

/** X.690, 8.1: tag, length, content. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const value = Buffer.concat(content);
  return Buffer.concat([Buffer.of(tag), derLength(value.length), value]);
}

function derLength(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const octets = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Buffer.of(0x80 | octets.length, ...octets);
}

/** RFC 7468. */
function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
