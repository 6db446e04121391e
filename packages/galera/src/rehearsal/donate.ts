import { BatonError } from '@batondb/core/errors';
import type { TransferContext } from '../context.ts';
import { formatEndpoint } from '../contract/address.ts';
import { type Call, parseCall } from '../contract/call.ts';
import { formatPosition, type GaleraPosition, parsePosition } from '../contract/position.ts';
import { donate } from '../donor/donor.ts';
import { logIn } from '../donor/login.ts';
import { PrivateDirectory } from '../donor/private-directory.ts';
import { Leftovers } from '../leftovers.ts';
import { type NodeWords, readNodeOptions } from '../node/node-options.ts';
import { ServerLog } from '../report/log.ts';
import { Progress } from '../report/progress.ts';
import { readSettings, type Settings } from '../settings/settings.ts';
import { becomeOwner } from '../state/become-owner.ts';
import { decodeRequest, type RehearsalRequest } from './request.ts';

export type DonateOptions = {
  /** Which server of this machine, by options of it. */
  readonly words: NodeWords;
  /** What {@link encodeRequest} made. */
  readonly request: string;
  /** Where the login came from, if the request does not say where to connect to. */
  readonly loginHost: string | undefined;
  /** Gets a line without its end. */
  readonly write: (line: string) => void;
};

/** Nothing is written beside a server's data for a rehearsal. */
const noStatus = { tell: (): void => undefined };

/**
 * The donor's part of a rehearsal: a hot backup of the running server for who has asked, as a donor gives it. The node stays in its cluster as it is. Throws USAGE,
 * UNSUPPORTED for a server that is no node, and what a donor throws.
 */
export async function donateForRehearsal(options: DonateOptions, signal: AbortSignal): Promise<void> {
  const request = decodeRequest(options.request);
  const node = await readNodeOptions(options.words, signal);
  // As a server's own process would be, whoever has logged in.
  becomeOwner(node.dataDirectory);
  const call = { ...callOf(request, options.loginHost, node.call), socket: node.socketPath };
  const { settings, demand, server } = await readSettings(call, signal);
  const log = new ServerLog('documented', 'donor', options.write);
  if (demand !== undefined)
    log.info(`${demand.option} is for transfers: a rehearsal is proven by its login, and asks no authority`);
  using progress = new Progress(log, noStatus);
  using leftovers = new Leftovers();
  const context: TransferContext = {
    call: { ...call, position: await positionNow(call, settings, leftovers, signal) },
    // The other one would stop the cluster.
    settings: { ...settings, method: 'backup' },
    server,
    key: { bytes: undefined, origin: 'the secret that came by the login' },
    // The login has proven the other machine, which is no node and need not have a certificate.
    certified: undefined,
    log,
    progress,
    status: noStatus,
    leftovers,
    say: () => undefined,
  };
  await donate(context, signal);
}

function callOf(
  { host, port, secret, fingerprint }: RehearsalRequest,
  loginHost: string | undefined,
  joiner: Call,
): Call {
  const reached = host ?? loginHost;
  if (reached === undefined) {
    throw new BatonError('USAGE', 'nobody has said at which address the rehearsing machine can be reached', {
      hint: 'name it: baton galera rehearse --address HOST',
    });
  }
  const address = `${formatEndpoint(reached, port)}/1.${fingerprint}`;
  const words = ['--role', 'donor', '--address', address, '--datadir', joiner.dataDirectory];
  const call = parseCall(words, { WSREP_SST_OPT_REMOTE_AUTH: `baton:${secret}` });
  return { ...call, optionFiles: joiner.optionFiles, credentials: joiner.credentials };
}

/** Where the node is in its cluster's history. */
async function positionNow(
  call: Call,
  { credentials }: Settings,
  leftovers: Leftovers,
  signal: AbortSignal,
): Promise<GaleraPosition> {
  await using directory = await PrivateDirectory.make(leftovers);
  const server = await logIn(call, credentials, directory, signal);
  const names = "'wsrep_cluster_state_uuid', 'wsrep_last_committed', 'wsrep_local_state_comment'";
  const rows = await server.query(`SHOW GLOBAL STATUS WHERE Variable_name IN (${names})`, signal);
  const values = new Map(rows.map((row) => [row.get('Variable_name'), row.get('Value') ?? '']));
  const [uuid, seqno, state] = ['wsrep_cluster_state_uuid', 'wsrep_last_committed', 'wsrep_local_state_comment'].map(
    (name) => values.get(name),
  );
  if (uuid === undefined || uuid === '' || state !== 'Synced') {
    throw new BatonError(
      'UNSUPPORTED',
      `the server at ${call.socket} is no node that is Synced: it is ${state ?? 'no node of a cluster'}`,
      {
        hint: 'rehearse with a donor that is in its cluster',
      },
    );
  }
  const position = parsePosition(`${uuid}:${seqno}`);
  if (position.seqno < 0n)
    throw new BatonError('UNAVAILABLE', `the node is at ${formatPosition(position)}`, { retryable: true });
  return position;
}
