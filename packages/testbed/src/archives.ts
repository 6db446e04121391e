// Archives as no honest program makes them: headers written by hand, where a test says what is in each field.

/** One member, with what an ordinary one has where nothing is said. */
export type RawMember = {
  readonly path: string | Uint8Array;
  /** The type flag. Default: `0`, a regular file. */
  readonly type?: string;
  readonly linkPath?: string;
  readonly content?: string | Uint8Array;
  /** What the header says of the content's length, whatever that is. */
  readonly sizeBytes?: number;
  readonly mode?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Records of an extended header before it. */
  readonly pax?: Readonly<Record<string, string>>;
};

const blockBytes = 512;

/** The end mark. */
export const endMark: Buffer = Buffer.alloc(2 * blockBytes);

/** A member as bytes. Names of more than 100 bytes get a pax header. */
export function rawMember(member: RawMember): Buffer {
  const path = Buffer.from(member.path);
  const content = Buffer.from(member.content ?? '');
  const records = { ...member.pax, ...(path.length > 100 ? { path: path.toString('latin1') } : {}) };
  const before = Object.keys(records).length === 0 ? [] : [rawPax('x', records)];
  return Buffer.concat([...before, rawHeader(member, path, content.length), content, padding(content.length)]);
}

/** A pax header, of one member (`x`) or of all that follow (`g`). Values are latin1, so that any byte can be said. */
export function rawPax(type: 'x' | 'g', records: Readonly<Record<string, string>>): Buffer {
  const payload = Buffer.concat(
    Object.entries(records).map(([key, value]) => {
      const rest = Buffer.from(` ${key}=${value}\n`, 'latin1');
      let length = rest.length + 1;
      while (String(length).length + rest.length !== length) length += 1;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
  return Buffer.concat([
    rawHeader({ path: 'pax', type }, Buffer.from('pax'), payload.length),
    payload,
    padding(payload.length),
  ]);
}

/** Members and the end mark. */
export function rawArchive(members: readonly (RawMember | Buffer)[]): Buffer {
  const parts = members.map((member) => (Buffer.isBuffer(member) ? member : rawMember(member)));
  return Buffer.concat([...parts, endMark]);
}

function rawHeader(member: RawMember, path: Buffer, contentBytes: number): Buffer {
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, offset: number, length: number): void => {
    header.write(value.toString(8).padStart(length - 1, '0'), offset, 'latin1');
  };
  path.copy(header, 0, 0, 100);
  octal(member.mode ?? (member.type === '5' ? 0o755 : 0o644), 100, 8);
  octal(process.geteuid?.() ?? 0, 108, 8);
  octal(process.getegid?.() ?? 0, 116, 8);
  octal(member.sizeBytes ?? contentBytes, 124, 12);
  octal(1_600_000_000, 136, 12);
  header.write(member.type ?? '0', 156, 'latin1');
  header.write(member.linkPath ?? '', 157, 100, 'utf8');
  header.write('ustar\x0000', 257, 'latin1');
  octal(member.major ?? 0, 329, 8);
  octal(member.minor ?? 0, 337, 8);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function padding(bytes: number): Buffer {
  return Buffer.alloc((blockBytes - (bytes % blockBytes)) % blockBytes);
}
