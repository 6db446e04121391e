import { chooseVersion, dataVersions } from '@batondb/core/protocol/versions';
import { controlVersions, type Greeting } from '../control/messages.ts';

/** Whether an agent speaks a version of both channels that we speak. */
export function isFitting({ control, data }: Greeting): boolean {
  return chooseVersion(controlVersions, control) !== undefined && chooseVersion(dataVersions, data) !== undefined;
}
