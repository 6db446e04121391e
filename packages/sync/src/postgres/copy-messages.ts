import { BatonError } from '@batondb/core/errors';
import { postgresLimits } from './limits.ts';

// Messages of a COPY in both directions, which replication is: CopyData by CopyData, without an object and a view of its bytes for each, as the driver makes them.

const copyData = 0x64;
const headBytes = 5;

export type MessageUser = {
  /** The content of a CopyData. The bytes are good for this call only. */
  readonly data: (bytes: Buffer, start: number, end: number) => void;
  /** Another message, whole, with its head. */
  readonly other: (message: Buffer) => void;
};

/** Takes messages out of chunks of what a server sends, cut anywhere. One for each connection. */
export class CopyMessages {
  readonly #user: MessageUser;
  /** The beginning of a message that has not come whole. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** The rest grows to so many bytes before it is looked at again. */
  #neededBytes = headBytes;

  constructor(user: MessageUser) {
    this.#user = user;
  }

  /** Throws PROTOCOL, LIMIT, and what the user throws. */
  take(chunk: Buffer): void {
    if (this.#restBytes > 0 && this.#restBytes + chunk.length < this.#neededBytes) {
      this.#keep(chunk);
      return;
    }
    const bytes = this.#restBytes === 0 ? chunk : Buffer.concat([...this.#rest, chunk]);
    this.#rest = [];
    this.#restBytes = 0;
    this.#neededBytes = headBytes;
    let at = 0;
    while (bytes.length - at >= headBytes) {
      const end = at + 1 + lengthAt(bytes, at + 1);
      if (end > bytes.length) {
        this.#neededBytes = end - at;
        break;
      }
      if (bytes[at] === copyData) this.#user.data(bytes, at + headBytes, end);
      else this.#user.other(bytes.subarray(at, end));
      at = end;
    }
    if (at < bytes.length) this.#keep(bytes.subarray(at));
  }

  #keep(piece: Buffer): void {
    this.#rest.push(piece);
    this.#restBytes += piece.length;
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at);
  if (length < 4)
    throw new BatonError('PROTOCOL', `a message of replication is ${length} bytes long, but has at least 4`);
  if (length > postgresLimits.messageBytesMax) {
    throw new BatonError(
      'LIMIT',
      `a message of replication is ${length} bytes long, and the most that is read is ${postgresLimits.messageBytesMax}`,
    );
  }
  return length;
}
