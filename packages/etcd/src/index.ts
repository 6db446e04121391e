export { formatEtcdAddress, parseEtcdAddress, readPasswordFile } from './address.ts';
export { EtcdClient, type Lease } from './client.ts';
export type { EtcdAccess } from './members.ts';
export * from './messages.ts';
export { testFences } from './self-test.ts';
