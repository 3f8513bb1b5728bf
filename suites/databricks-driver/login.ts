import { createLakebasePool } from '@databricks/lakebase';

// Runs in the process that run.ts forks: all settings are in the environment.
async function main() {
  const pool = createLakebasePool();
  const { rows } = await pool.query<{ current_user: string }>(
    'SELECT current_user',
  );
  await pool.end();
  if (rows[0].current_user !== process.env.DATABRICKS_CLIENT_ID)
    throw new Error(`Logged in as ${rows[0].current_user}`);
  console.log(
    `@databricks/lakebase minted and logged in as ${rows[0].current_user}`,
  );
}

void main();
