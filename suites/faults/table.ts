/** What can go wrong, as whoever runs a portal sees it. */
export interface Fault {
  fault: string;
  /** What this module makes of it. */
  survives: string;
  /** In the folder of the tests, without its ending. */
  file: string;
  /** How the full names of its tests begin; without, all of the file. */
  tests?: string[];
}

export const FAULTS: Record<string, Fault[]> = {
  'The workspace': [
    {
      fault: 'it is down, the credential still valid',
      survives: 'no query and no new connection notices',
      file: 'faults/workspace',
      tests: ['the workspace does not mint and no query'],
    },
    {
      fault: 'it is down, the credential run out: open connections',
      survives: 'they go on',
      file: 'faults/workspace',
      tests: ['the workspace does not mint and past the end of the credential'],
    },
    {
      fault: 'it is down, the credential run out: new connections',
      survives:
        'they wait for up to `connectTimeout`, and open as soon as it mints again',
      file: 'faults/workspace',
      tests: [
        'the workspace does not mint and past the end of the credential a new',
      ],
    },
    {
      fault: 'it is down, and connections are asked for',
      survives: 'no socket is opened before there is a credential',
      file: 'faults/logins',
      tests: ['the workspace is down while 15 plugins ask'],
    },
    {
      fault: 'it does not answer',
      survives: 'it is hung up on and asked again; nobody waits meanwhile',
      file: 'faults/workspace',
      tests: [
        'the workspace takes the call and never answers and is hung up on',
      ],
    },
    {
      fault: 'it does not answer, and 50 plugins wait',
      survives: 'all fail by their deadline, and nothing is left behind',
      file: 'faults/workspace',
      tests: ['the workspace takes the call and never answers and 50 plugins'],
    },
    {
      fault: 'it fails for a moment: 5xx, reset',
      survives: 'the plugin starts',
      file: 'faults/workspace',
      tests: ['the workspace fails for a moment'],
    },
    {
      fault: 'its name does not resolve for a moment',
      survives: 'the plugin starts',
      file: 'faults/workspace.network',
      tests: ['the name of the workspace does not resolve'],
    },
    {
      fault: 'it says 429, and when to come back',
      survives: 'it is not asked before',
      file: 'faults/workspace',
      tests: ['the workspace says when to come back'],
    },
    {
      fault: 'it answers with nonsense',
      survives: 'the credential in memory goes on to serve',
      file: 'faults/workspace.replies',
    },
    {
      fault: 'it refuses the secret, the grant or the endpoint',
      survives: 'one log line with the cure, a try every few minutes, healing',
      file: 'faults/workspace.refusals',
      tests: [
        'the client secret has expired',
        'the grant is taken away',
        'the endpoint is gone',
      ],
    },
    {
      fault: 'it forgets its access tokens',
      survives: 'the same mint gets a new one, once',
      file: 'faults/workspace.refusals',
      tests: ['the workspace forgets its tokens'],
    },
    {
      fault: 'it redirects',
      survives: 'neither secret nor token goes along',
      file: 'faults/workspace.network',
      tests: ['the workspace redirects'],
    },
    {
      fault: 'it compresses, or is on IPv6 only, or behind a proxy',
      survives: 'it is understood, and reached as Node can',
      file: 'faults/workspace.network',
      tests: [
        'the workspace compresses',
        'the workspace is reachable over IPv6',
        'the way out leads through a proxy',
      ],
    },
    {
      fault: 'its certificate is not to be trusted',
      survives: 'it gets no request at all',
      file: 'databricks/workspace.tls',
    },
  ],
  'Credentials and time': [
    {
      fault: 'the credential is renewed',
      survives: 'one mint, and no connection is closed',
      file: 'connections/credentialLife',
      tests: [
        'the life of a credential serves new connections after a rotation',
        'the life of a credential does not end connections',
      ],
    },
    {
      fault: 'the credential is revoked',
      survives: 'one mint, and the callers see nothing',
      file: 'connections/credentialLife',
      tests: ['the life of a credential is replaced by one mint'],
    },
    {
      fault: 'the same credential comes back until it expires',
      survives: 'another one is asked for every 30 s at the most',
      file: 'faults/credentials',
      tests: ['the workspace gives the same credential'],
    },
    {
      fault: 'credentials live for 30 s, or for 60 days',
      survives: 'no login fails, and no timer overflows',
      file: 'faults/credentials',
      tests: [
        'credentials live for a short time',
        'a credential lives for 60 days',
      ],
    },
    {
      fault:
        'a transaction or a migration takes longer than a credential lives',
      survives: 'it is finished by the connection that began it',
      file: 'faults/process.pauses',
      tests: ['a transaction takes longer'],
    },
    {
      fault: 'the clock is two hours fast',
      survives: 'lives are taken from the server’s time',
      file: 'faults/process.clock',
      tests: ['the clock of the machine is'],
    },
    {
      fault: 'somebody sets the clock, to and fro',
      survives: 'one mint at the most, and no expired credential is used',
      file: 'faults/clock',
      tests: ['somebody sets the clock'],
    },
    {
      fault: 'the machine sleeps, or the process is stopped, past the expiry',
      survives: 'the first query works; a new connection waits for one mint',
      file: 'faults/process.clock',
      tests: ['the machine sleeps until long after'],
    },
    {
      fault: 'the event loop is busy when it is time to refresh',
      survives: 'the next connection has a credential all the same',
      file: 'faults/process.pauses',
      tests: ['something keeps the event loop busy'],
    },
    {
      fault: 'all plugins start at once',
      survives: 'one mint',
      file: 'connections/credentialLife',
      tests: ['the life of a credential is minted once'],
    },
    {
      fault: '200 replicas start at once',
      survives: 'their later mints are spread evenly',
      file: 'faults/replicas',
      tests: ['200 replicas that start together'],
    },
    {
      fault: '200 replicas are told 429',
      survives: 'all have a credential within few attempts, and no storm',
      file: 'faults/replicas',
      tests: ['200 replicas whose workspace grants'],
    },
  ],
  'Logins and the network': [
    {
      fault: 'there is no role for the login, or another user is configured',
      survives: 'two logins at the most, and an error with the cure',
      file: 'connections/refusedLogins',
      tests: ['a missing role', 'a user that is not the identity'],
    },
    {
      fault: 'the endpoint wakes up',
      survives: 'it is waited for',
      file: 'connections/refusedLogins',
      tests: ['a waking endpoint', 'an endpoint that turns logins away'],
    },
    {
      fault: 'the endpoint renews its certificate',
      survives: 'open connections go on, new ones take the new one',
      file: 'faults/logins',
      tests: ['the endpoint renews its certificate'],
    },
    {
      fault: 'the endpoint’s TLS is not to be trusted',
      survives: 'it gets no credential',
      file: 'faults/logins',
      tests: ['the endpoint shows up with TLS'],
    },
    {
      fault: 'the endpoint takes connections and says nothing',
      survives: 'an error with the cause at `connectTimeout`, no socket left',
      file: 'faults/network',
      tests: ['an endpoint that takes connections and says nothing'],
    },
    {
      fault: 'a single login gets lost',
      survives: 'another one follows',
      file: 'faults/network',
      tests: ['an endpoint that loses a single login'],
    },
    {
      fault: 'the packets of a connection get lost',
      survives: 'only its own query waits for TCP, or for its own timeout',
      file: 'faults/network',
      tests: ['a connection whose packets are lost'],
    },
    {
      fault: 'the endpoint’s address changes',
      survives: 'new connections go there, open ones follow as they age',
      file: 'faults/network',
      tests: ['the name of the endpoint leads to another address'],
    },
    {
      fault: 'the endpoint is restored on another host',
      survives: 'new connections find it',
      file: 'faults/network',
      tests: ['the endpoint is restored elsewhere'],
    },
    {
      fault: 'a plugin listens again after a renewal',
      survives: 'it logs in with the credential of the moment',
      file: 'faults/logins',
      tests: ['the connection that listens for events is lost'],
    },
    {
      fault: 'all connections are killed at once',
      survives: 'each new one has its role and search path',
      file: 'faults/logins',
      tests: ['all connections are killed at once'],
    },
    {
      fault: 'the first connection of a plugin fails',
      survives: 'the next call tries again',
      file: 'connections/databases',
      tests: ['getClient'],
    },
  ],
  'The server': [
    {
      fault: 'it restarts while connections are idle, or in a transaction',
      survives: 'the next query gets its answer',
      file: 'faults/server',
      tests: ['the server restarts'],
    },
    {
      fault: 'it ends a session within a query',
      survives: 'that query fails, the next one works',
      file: 'faults/server',
      tests: [
        'the server restarts, ending connections by terminate a query that runs',
      ],
    },
    {
      fault: 'it restarts within a migration',
      survives: 'the next start finishes it, or says how',
      file: 'faults/migrations',
      tests: ['the server restarts in the middle of a migration'],
    },
    {
      fault: 'it closes connections of a certain age',
      survives: 'they are replaced before, one after the other',
      file: 'faults/server',
      tests: ['the server ends connections of a certain age'],
    },
    {
      fault: 'it has fewer connections than the pools may open',
      survives: 'with `maxConnections`, queries wait for their turn',
      file: 'faults/server',
      tests: ['the endpoint lets in fewer connections'],
    },
    {
      fault: 'another client has taken all connections',
      survives: 'queries wait until it leaves, or fail with what to do',
      file: 'faults/server',
      tests: ['another client has taken all connections'],
    },
    {
      fault: 'it takes no writes after a failover (25006)',
      survives: 'each session fails one write at most, and is replaced',
      file: 'faults/server',
      tests: [
        'the server takes no writes after a failover',
        'sessions are left on a server',
      ],
    },
    {
      fault: 'its disk is full (53100)',
      survives: 'a write fails with its words, and the pool stays',
      file: 'faults/server',
      tests: ['the disk of the server is full'],
    },
  ],
  'The process, and who looks into it': [
    {
      fault: 'SIGTERM during the start',
      survives: 'it ends when the start settles, `connectTimeout` at the most',
      file: 'faults/shutdown.backend',
      tests: ['SIGTERM comes while the portal starts'],
    },
    {
      fault: 'SIGTERM during a mint, or with queries in flight',
      survives: 'the mint ends at once, queries get 10 s',
      file: 'faults/shutdown.backend',
      tests: ['SIGTERM comes while the portal runs'],
    },
    {
      fault: 'a query without an end at shutdown',
      survives: 'its connection is cut after 10 s',
      file: 'faults/shutdown.queries',
    },
    {
      fault: 'nothing is left to do',
      survives: 'the process exits by itself',
      file: 'shutdown',
      tests: ['shutdown lets the process exit by itself'],
    },
    {
      fault: 'a plugin copies its configuration',
      survives: 'nothing is lost, and no credential travels in it',
      file: 'faults/secrets.copies',
    },
    {
      fault: 'somebody prints the database client',
      survives: 'no credential is shown',
      file: 'secrets',
    },
    {
      fault: 'somebody reads logs, errors, metrics and traces',
      survives: 'no token and no secret is in them, at any level',
      file: 'faults/secrets.storm',
    },
    {
      fault: 'every debug switch is on',
      survives: 'no token and no secret is in the output',
      file: 'faults/secrets.debug',
    },
    {
      fault: 'somebody reads the memory',
      survives: 'the credential of now is there, and none of those before',
      file: 'faults/memory',
    },
  ],
};
