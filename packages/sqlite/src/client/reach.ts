import type { ServerPlace } from '@batondb/service/client';
import { parseMessage } from '../hrana/json.ts';
import { formatLocation, type Location } from './location.ts';
import { decodeError, toError } from './remote-error.ts';

/** A server of databases as one that is asked over HTTP. */
export function placeOf(location: Location): ServerPlace {
  return {
    endpoint: location.endpoint,
    name: formatLocation(location),
    decodeRefusal: (text) => toError(decodeError(parseMessage(text), undefined)),
    hints: {
      refused: 'start one with baton sqlite serve, or look at the address',
      broken: 'look at the address: a server with a certificate is reached by wss://, one without by ws://',
      untrusted: 'give the certificate of the authority that signed it: --ca, or --follow-ca of a replica',
      foreign: 'look whether this is the address of a baton sqlite server',
    },
  };
}
