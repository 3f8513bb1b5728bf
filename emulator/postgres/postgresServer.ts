/** A Postgres server, and the superuser to reach it as. */
export interface PostgresServer {
  host: string;
  port: number;
  user: string;
  password: string;
  /** Its data directory, where it is on this machine and can be copied. */
  data?: string;
  stop(): Promise<void>;
}
