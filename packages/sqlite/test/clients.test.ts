// Stock clients against the server, over databases that stand in for the node.
import { describeClients } from './support/client-suite.ts';
import { serve } from './support/served.ts';

describeClients('stand-in', () => serve());
