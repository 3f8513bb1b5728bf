import { startTestEmulator } from '../support/emulator';
import { logIn } from './clients';

describe('a stopped emulator', () => {
  it('leaves no database and no role behind', async () => {
    const first = await startTestEmulator();
    await first.createRole('somebody@example.com');
    const client = await logIn(first);
    await client.query('CREATE DATABASE backstage_plugin_catalog');
    await first.query('CREATE SCHEMA theirs', [], 'postgres');
    await first.query(
      'GRANT USAGE ON SCHEMA theirs TO "somebody@example.com"',
      [],
      'postgres',
    );
    await first.stop();

    const second = await startTestEmulator();
    try {
      await second.query('DROP SCHEMA theirs', [], 'postgres');
      const [{ databases }] = await second.query(
        `SELECT array_agg(datname::text ORDER BY 1) AS databases
         FROM pg_database WHERE NOT datistemplate`,
      );
      const [{ roles }] = await second.query(
        `SELECT array_agg(rolname::text) AS roles FROM pg_roles
         WHERE rolname IN ($1, 'somebody@example.com')`,
        [first.servicePrincipal.clientId],
      );
      expect(databases).not.toContain('backstage_plugin_catalog');
      expect(databases).toContain('databricks_postgres');
      expect(roles).toBeNull();
    } finally {
      await second.stop();
    }
  });
});
