import { BatonError, type ErrorCode, type ErrorRecord } from '@batondb/core/errors';
import type { VersionRange } from '@batondb/core/protocol/versions';
import { wireLimits } from './limits.ts';
import { MessageReader } from './message-reader.ts';
import { instanceBytes, proofBytes } from './proof.ts';

// What donor and joiner say to each other beside the data: JSON, one message a frame. Fields that are unknown are passed over; a message
// that is unknown is passed over if it says itself that it may be. Not checked here: who may say what when.

/** The versions of the session that this build speaks. A release keeps the one before it. */
export const sessionVersions: VersionRange = { min: 1, max: 1 };

/** Words about a side that the other may print or act upon, by name. */
export type About = Readonly<Record<string, string>>;

/** The donor's first word on every connection. */
export type Hello = {
  readonly type: 'hello';
  readonly versions: VersionRange;
  readonly proof: Uint8Array;
  readonly purpose: 'control' | 'data';
  /** Which transfer the data belongs to, from 1; 0 for control. */
  readonly transfer: number;
  /** Messages of the joiner that the donor has. */
  readonly received: number;
  /** Which process it is: there where its certificate is not made for one process alone. 32 hexadecimal digits. */
  readonly instance?: string;
};

/** The joiner's answer to a hello that it believes. */
export type Proof = {
  readonly type: 'proof';
  readonly version: number;
  readonly proof: Uint8Array;
  /** Messages of the donor that the joiner has. */
  readonly received: number;
};

/** Why a side ends the session, or does not begin it. */
export type Failed = { readonly type: 'failed' } & Omit<ErrorRecord, 'host'>;

/** What the donor has to give. */
export type Offer = {
  readonly type: 'offer';
  readonly method: 'backup' | 'files' | 'logical' | 'bypass';
  /** Bytes that will come, as far as the donor can tell before it begins. */
  readonly estimatedBytes: number;
  readonly about: About;
};

export type Accept = { readonly type: 'accept'; readonly about: About };

/** A stream or a tree is about to be sent. */
export type Transfer = {
  readonly type: 'transfer';
  /** From 1, in order. */
  readonly transfer: number;
  readonly kind: 'stream' | 'tree';
  readonly manifestDigest: Uint8Array;
  readonly manifestBytes: number;
};

/** All is sent: where the donor stood. */
export type Finish = { readonly type: 'finish'; readonly position: string; readonly about: About };
/** The joiner has all of it, whole and on its disk. */
export type Verified = { readonly type: 'verified'; readonly about: About };

/** Units of a stream below `units` were handed on by the joiner. Not numbered: the last one counts. */
export type Held = { readonly type: 'held'; readonly transfer: number; readonly units: number };
/** What a side is at; for the other's log. Not numbered. `totalBytes` 0: nobody knows. */
export type Progress = {
  readonly type: 'progress';
  readonly stage: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
};
/** A message of a newer release that an older one may do without. */
export type Unknown = { readonly type: 'unknown'; readonly name: string };

/** Messages that arrive exactly once and in order, whatever connections break in between. */
export type NumberedMessage = Failed | Offer | Accept | Transfer | Finish | Verified;
export type LooseMessage = Held | Progress;
export type Message = Hello | Proof | NumberedMessage | LooseMessage | Unknown;
/** A message and its number, from 1; 0: it has none. */
export type Numbered = { readonly message: Message; readonly number: number };

/** One message as bytes. Throws LIMIT when the other side would not take it. */
export function encodeMessage(message: Exclude<Message, Unknown>, number = 0): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(JSON.stringify({ ...(number > 0 ? { number } : {}), ...fieldsOf(message) }));
  if (bytes.byteLength > wireLimits.messageBytesMax) {
    throw new BatonError(
      'LIMIT',
      `${message.type} has ${bytes.byteLength} bytes, but the limit is ${wireLimits.messageBytesMax}`,
    );
  }
  return bytes;
}

/** Reads one message. Throws PROTOCOL or LIMIT, naming message and field; VERSION_MISMATCH for one that may not be passed over. */
export function decodeMessage(bytes: Uint8Array): Numbered {
  if (bytes.byteLength > wireLimits.messageBytesMax) {
    throw new BatonError(
      'LIMIT',
      `a message has ${bytes.byteLength} bytes, but the limit is ${wireLimits.messageBytesMax}`,
    );
  }
  const reader = MessageReader.parse(bytes);
  const number = reader.optionalInteger('number', wireLimits.messagesMax) ?? 0;
  return { number, message: messageOf(reader) };
}

function fieldsOf(message: Exclude<Message, Unknown>): object {
  switch (message.type) {
    case 'hello':
      return { ...message, versions: [message.versions.min, message.versions.max], proof: hex(message.proof) };
    case 'proof':
      return { ...message, proof: hex(message.proof) };
    case 'transfer':
      return { ...message, manifestDigest: hex(message.manifestDigest) };
    case 'held':
    case 'progress':
      return { ...message, mayIgnore: true };
    default:
      return message;
  }
}

function messageOf(reader: MessageReader): Message {
  const count = wireLimits.messagesMax;
  switch (reader.type) {
    case 'hello': {
      const [min, max] = reader.range('versions');
      const purpose = reader.oneOf('purpose', ['control', 'data']);
      const transfer = reader.integer('transfer', wireLimits.transfersMax);
      const received = reader.integer('received', count);
      const instance = reader.optionalHex('instance', instanceBytes);
      return {
        type: 'hello',
        versions: { min, max },
        proof: reader.hex('proof', proofBytes),
        purpose,
        transfer,
        received,
        ...(instance === undefined ? {} : { instance }),
      };
    }
    case 'proof':
      return {
        type: 'proof',
        version: reader.integer('version', 65_535),
        proof: reader.hex('proof', proofBytes),
        received: reader.integer('received', count),
      };
    case 'failed': {
      const hint = reader.optionalText('hint');
      return {
        type: 'failed',
        code: reader.text('code') as ErrorCode,
        message: reader.text('message'),
        retryable: reader.boolean('retryable'),
        ...(hint === undefined ? {} : { hint }),
      };
    }
    case 'offer':
      return {
        type: 'offer',
        method: reader.oneOf('method', ['backup', 'files', 'logical', 'bypass']),
        estimatedBytes: reader.integer('estimatedBytes'),
        about: reader.about('about'),
      };
    case 'accept':
      return { type: 'accept', about: reader.about('about') };
    case 'transfer':
      return {
        type: 'transfer',
        transfer: reader.integer('transfer', wireLimits.transfersMax),
        kind: reader.oneOf('kind', ['stream', 'tree']),
        manifestDigest: reader.hex('manifestDigest', 32),
        manifestBytes: reader.integer('manifestBytes'),
      };
    case 'finish':
      return { type: 'finish', position: reader.text('position'), about: reader.about('about') };
    case 'verified':
      return { type: 'verified', about: reader.about('about') };
    case 'held':
      return {
        type: 'held',
        transfer: reader.integer('transfer', wireLimits.transfersMax),
        units: reader.integer('units'),
      };
    case 'progress':
      return {
        type: 'progress',
        stage: reader.text('stage'),
        doneBytes: reader.integer('doneBytes'),
        totalBytes: reader.integer('totalBytes'),
      };
    default:
      return reader.unknown();
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
