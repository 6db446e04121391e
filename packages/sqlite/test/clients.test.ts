// Stock clients against the server, over a node.
import { describeClients } from './support/client-suite.ts';
import { serveNode } from './support/served-node.ts';

describeClients('node', serveNode);
