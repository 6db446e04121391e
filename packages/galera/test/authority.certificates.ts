// Authorities and certificates of them, made by openssl as an operator makes them.

import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprintOf } from '@batondb/core/transport/certificate';
import { mustRun } from '@batondb/testbed/processes';
import type { Certified } from '../src/wire/certified.ts';

/** A certificate and its key, as files. */
export type Issued = { readonly certificateFile: string; readonly keyFile: string };

export type IssueOptions = {
  /** Who it is for: `IP:127.0.0.1`, `DNS:name`. Default: this machine's loopback addresses. */
  readonly names?: string;
  /** `serverAuth`, `clientAuth`. Default: no restriction. */
  readonly usage?: string;
  /** Default: 90; a negative number: it has expired. */
  readonly days?: number;
  /** Words of `openssl req`. Default: an elliptic curve. */
  readonly key?: readonly string[];
};

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** An authority that issues certificates into a directory. */
export class TestAuthority {
  readonly #directory: string;
  readonly #name: string;

  private constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  static async make(directory: string, name = 'ca'): Promise<TestAuthority> {
    const authority = new TestAuthority(directory, name);
    const { file, keyFile } = authority;
    await mustRun([
      'openssl',
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      keyFile,
      '-out',
      file,
      '-days',
      '90',
      '-subj',
      `/CN=${name}`,
    ]);
    return authority;
  }

  get file(): string {
    return join(this.#directory, `${this.#name}.pem`);
  }

  get keyFile(): string {
    return join(this.#directory, `${this.#name}.key`);
  }

  async issue(
    name: string,
    { names = 'IP:127.0.0.1,IP:::1', usage, days = 90, key = newKey }: IssueOptions = {},
  ): Promise<Issued> {
    const at = (suffix: string): string => join(this.#directory, `${name}.${suffix}`);
    const [request, extensions, certificateFile, keyFile] = [at('csr'), at('ext'), at('pem'), at('key')];
    const usageLine = usage === undefined ? '' : `extendedKeyUsage=${usage}\n`;
    writeFileSync(extensions, `subjectAltName=${names}\n${usageLine}`);
    await mustRun(['openssl', 'req', ...key, '-keyout', keyFile, '-out', request, '-subj', `/CN=${name}`]);
    await mustRun([
      ...['openssl', 'x509', '-req', '-in', request, '-CA', this.file, '-CAkey', this.keyFile, '-CAcreateserial'],
      ...['-days', String(days), '-extfile', extensions, '-out', certificateFile],
    ]);
    return { certificateFile, keyFile };
  }

  /** Revokes a certificate, and makes the authority's list of those. */
  async revoke({ certificateFile }: Issued): Promise<string> {
    const at = (suffix: string): string => join(this.#directory, `${this.#name}.${suffix}`);
    const [settings, list] = [at('cnf'), at('crl')];
    writeFileSync(at('index'), '');
    writeFileSync(settings, `[ca]\ndefault_ca=own\n[own]\ndatabase=${at('index')}\ndefault_md=sha256\n`);
    const ca = ['openssl', 'ca', '-config', settings, '-cert', this.file, '-keyfile', this.keyFile];
    await mustRun([...ca, '-revoke', certificateFile]);
    await mustRun([...ca, '-gencrl', '-crldays', '30', '-out', list]);
    return list;
  }

  /** What a node has that demands this authority. */
  certified({ certificateFile, keyFile }: Issued, isForHost = false): Certified {
    const certificatePem = readFileSync(certificateFile, 'utf8');
    return {
      identity: {
        certificatePem,
        privateKeyPem: readFileSync(keyFile, 'utf8'),
        fingerprint: fingerprintOf(new X509Certificate(certificatePem).raw),
      },
      authority: { certificates: [readFileSync(this.file, 'utf8')], revocations: [] },
      isForHost,
      demand: isForHost ? 'ssl-mode=VERIFY_IDENTITY' : 'ssl-mode=VERIFY_CA',
    };
  }
}
