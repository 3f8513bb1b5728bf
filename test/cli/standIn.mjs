// In place of psql: logs in as libpq would, and tells what it was given.
import { readFileSync } from 'node:fs';
import pg from 'pg';

const { PGHOST, PGHOSTADDR, PGPASSWORD, PGSSLROOTCERT, ...env } = process.env;
const client = new pg.Client({
  host: PGHOSTADDR ?? PGHOST,
  password: PGPASSWORD,
  ssl: { ca: readFileSync(PGSSLROOTCERT), servername: PGHOST },
  options: env.PGOPTIONS,
});
await client.connect();
const { rows } = await client.query(
  `SELECT current_user AS "user", current_database() AS database,
     current_setting('search_path') AS "searchPath"`,
);
await client.end();

const given = Object.fromEntries(
  Object.entries({ PGHOST, PGHOSTADDR, ...env }).filter(([name]) =>
    name.startsWith('PG'),
  ),
);
const args = process.argv.slice(2);
process.stdout.write(
  JSON.stringify({ args, given, caFile: PGSSLROOTCERT, ...rows[0] }),
);
process.exitCode = 3;

// As a session that somebody works in.
if (args.includes('--stay')) setTimeout(() => {}, 20_000);
