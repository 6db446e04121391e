// Where this checkout and its programs are.
import { delimiter, dirname, resolve } from 'node:path';

/** Root of the checkout, which has `./baton`. */
export const checkoutPath: string = resolve(import.meta.dirname, '../../..');

/**
 * PATH of commands on a test host: the checkout's `baton` first, the system's directories, and last the Node that runs the
 * tests, for machines that have no other.
 */
export const hostPath: string = [
  checkoutPath,
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
  dirname(process.execPath),
].join(delimiter);
