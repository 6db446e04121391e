// A process that exchanges the data of a directory for what lies in its staging, to be killed in the middle: DIRECTORY.
import { openStaging } from '@batondb/galera/state/staging';
import { swap } from '@batondb/galera/state/swap';

const dataDirectory = process.argv[2] ?? '';
using staging = openStaging(dataDirectory, { make: true });
await swap({ staging, layout: { dataDirectory } }, new AbortController().signal);
