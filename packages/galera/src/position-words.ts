import { type GaleraPosition, parsePosition } from './contract/position.ts';
import type { About, Finish } from './wire/messages.ts';

/** The domain of a position, as words of a message. */
export function domainOf({ domainId }: GaleraPosition): About {
  return domainId === undefined ? {} : { domainId: String(domainId) };
}

/** The position that a donor has told at its end. Throws PROTOCOL. */
export function positionOf({ position, about }: Pick<Finish, 'position' | 'about'>): GaleraPosition {
  const { domainId } = about;
  return parsePosition(domainId === undefined ? position : `${position} ${domainId}`);
}
