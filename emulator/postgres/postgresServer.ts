/** A Postgres server, and the superuser to reach it as. */
export interface PostgresServer {
  host: string;
  port: number;
  user: string;
  password: string;
  stop(): Promise<void>;
}
