export { runSst } from './sst.ts';
