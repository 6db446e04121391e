// A process that exchanges data and can be killed at any system call: DIRECTORY STEP, with the layout as JSON in the environment.
// `swap`: the new data in .sst/new comes in, and the old data is removed; `in place`: the old data is removed before; `settle`: what was cut short is
// ended.
import { giveUpOld } from '../src/state/give-up.ts';
import type { DataLayout } from '../src/state/layout.ts';
import { settle } from '../src/state/settle.ts';
import { openStaging } from '../src/state/staging.ts';
import { removeReplaced, swap } from '../src/state/swap.ts';

const [, , dataDirectory = '', step] = process.argv;
const layout = JSON.parse(process.env['BATON_TEST_LAYOUT'] ?? '{}') as Omit<DataLayout, 'dataDirectory'>;
const position = process.env['BATON_TEST_POSITION'];
const never = new AbortController().signal;
using staging = openStaging(dataDirectory, { make: true });
if (step === 'settle') process.stdout.write(settle(staging));
else {
  if (step === 'in place') giveUpOld({ staging, layout: { dataDirectory, ...layout } }, never);
  await swap({ staging, layout: { dataDirectory, ...layout }, position }, never);
  removeReplaced(staging);
}
