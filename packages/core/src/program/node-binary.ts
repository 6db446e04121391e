import { join } from 'node:path';
import { findPackage, packageIn } from './packages.ts';

/** Processors a program can be put together for, in Node's words. */
export type Processor = 'x64' | 'arm64';

/** A Node that runs on other machines of its processor, and what stands for its bytes in a digest. */
export type NodeBinary = { readonly path: string; readonly identity: string };

/**
 * The Node to take along: that of the package node-linux-PROCESSOR, as it is installed for a module in `from`, or else in `others`; else the running
 * one, if it is of this processor and all in one file, as those of nodejs.org are and many of distributions are not. Undefined when there is none.
 */
export function findNode(from: string, processor: Processor, others: string = from): NodeBinary | undefined {
  const name = `node-linux-${processor}`;
  const found = findPackage(from, name) ?? packageIn(others, name);
  if (found !== undefined) {
    return { path: join(found.directory, 'bin', 'node'), identity: `node ${found.version} of ${name}` };
  }
  if (process.arch === processor && isAllInOne()) {
    return { path: process.execPath, identity: `node ${process.versions.node} of this machine` };
  }
  return undefined;
}

function isAllInOne(): boolean {
  const variables = process.config.variables as Readonly<Record<string, unknown>>;
  return !Object.entries(variables).some(([name, value]) => name.startsWith('node_shared') && value === true);
}
