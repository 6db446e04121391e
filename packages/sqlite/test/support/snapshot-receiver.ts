// Receives a snapshot in a process of its own, behind everything else, as another machine would: PORT DIRECTORY.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { trustedPeer } from '@batondb/core/transfer/offering';
import { SocketConnection } from '@batondb/core/transport/socket-connection';
import { receiveSnapshot } from '../../src/snapshot/transfer.ts';

const [port, directory = ''] = process.argv.slice(2);
setPriority(19);
const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
await once(socket, 'connect');
await receiveSnapshot(new SocketConnection(socket, trustedPeer('sender')), directory, {}, new AbortController().signal);
