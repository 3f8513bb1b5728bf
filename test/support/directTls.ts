import { Client } from 'pg';
import { getWire } from '../../src/connections/pgWire';

/** Whether this version of pg can begin TLS without asking for it. */
export const knowsDirectTls =
  getWire(new Client()).sslNegotiation !== undefined;
