import { readFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { limits } from '@batondb/core/limits';
import { dataVersions } from '@batondb/core/protocol/versions';
import type { Identity } from '@batondb/core/transport/certificate';
import { version } from '@batondb/core/version';
import { controlVersions, type Greeting } from '../control/messages.ts';
import { ownAddresses } from './listen.ts';

/** What an agent says of itself before anything else. */
export function makeGreeting(identity: Identity): Greeting {
  // SSH_CONNECTION: client address, client port, server address, server port (sshd sets it; see ssh(1)).
  const [reachedFrom, , reachedAt] = process.env['SSH_CONNECTION']?.split(' ') ?? [];
  return {
    software: version,
    control: controlVersions,
    data: dataVersions,
    fingerprint: identity.fingerprint,
    hostname: hostname(),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    uid: process.geteuid?.() ?? 0,
    cores: availableParallelism(),
    addresses: ownAddresses().slice(0, limits.senderAddressesMax),
    ...(reachedAt === undefined ? {} : { reachedAt }),
    ...(reachedFrom === undefined ? {} : { reachedFrom }),
  };
}
