import { fileURLToPath } from 'node:url';
import { type ChannelCredentials, Client, type MethodDefinition } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { limits } from './limits.ts';
import { decodeWrite, encodeWrite, type Write } from './write-codec.ts';

// etcd's services as they are on the wire, from proto/etcd.proto, and a channel to one member.

/** Beside `src` as beside `dist`. */
const protoPath = fileURLToPath(new URL('../proto/etcd.proto', import.meta.url));

const definitions = loadSync(protoPath, { keepCase: true, longs: String, defaults: true, arrays: true });

/** The methods that are used, by their names in etcd; `KV/Write` is `KV/Txn` by a codec of its own. */
export type MethodName =
  | `KV/${'Range' | 'Txn' | 'Compact' | 'Write'}`
  | `Lease/${'LeaseGrant' | 'LeaseRevoke' | 'LeaseKeepAlive'}`
  | `Maintenance/${'Alarm' | 'Status' | 'Defragment'}`
  | 'Watch/Watch'
  | 'Auth/Authenticate';

/** How a method's messages become bytes. */
export function methodOf(name: MethodName): MethodDefinition<object, object> {
  if (name === 'KV/Write') return writeMethod;
  const [service = '', method = ''] = name.split('/');
  return (definitions[`etcdserverpb.${service}`] as ServiceDefinition)[method] as MethodDefinition<object, object>;
}

const writeMethod: MethodDefinition<object, object> = {
  ...methodOf('KV/Txn'),
  requestSerialize: (write) => encodeWrite(write as Write),
  responseDeserialize: decodeWrite,
};

const channelOptions = {
  // Answers are as large as what was asked for; there is nothing to guess.
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': limits.silenceMs,
  'grpc.keepalive_timeout_ms': limits.pingMs,
  // Who tries again is this package's affair: a transaction must not be sent twice.
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

/** A channel to one member. It connects with its first call. */
export function openChannel(endpoint: string, credentials: ChannelCredentials): Client {
  return new Client(endpoint, credentials, channelOptions);
}
