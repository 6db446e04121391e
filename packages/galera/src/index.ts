export { donorLines } from './contract/lines.ts';
