// A process that exchanges data and can be killed at any system call: DIRECTORY STEP, with the layout as JSON in the environment.
// `swap`: the new data in .sst/new comes in, and the old data is removed; `settle`: a swap that was cut short is ended.
import type { DataLayout } from '../src/state/layout.ts';
import { settle } from '../src/state/settle.ts';
import { openStaging } from '../src/state/staging.ts';
import { removeReplaced, swap } from '../src/state/swap.ts';

const [, , dataDirectory = '', step] = process.argv;
const layout = JSON.parse(process.env['BATON_TEST_LAYOUT'] ?? '{}') as Omit<DataLayout, 'dataDirectory'>;
const position = process.env['BATON_TEST_POSITION'];
using staging = openStaging(dataDirectory, { make: true });
if (step === 'settle') process.stdout.write(settle(staging));
else {
  await swap({ staging, layout: { dataDirectory, ...layout }, position }, new AbortController().signal);
  removeReplaced(staging);
}
