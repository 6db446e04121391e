export { readStatus, statusFileName, type TransferStatus } from './report/status-file.ts';
export { runSst } from './sst.ts';
