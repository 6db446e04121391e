import { changes } from './changes.ts';
import type { Chapter } from './chapter.ts';
import { errors } from './errors.ts';
import { functions } from './functions.ts';
import { queries } from './queries.ts';
import { schemas } from './schemas.ts';
import { search } from './search.ts';
import { values } from './values.ts';

/** All that the node is compared over. */
export const corpus: readonly Chapter[] = [
  ...values,
  ...functions,
  ...queries,
  ...changes,
  ...schemas,
  ...search,
  ...errors,
];
