import { omit } from 'lodash';
import { type PostgresOptions, startPostgres } from './startPostgres';

// The entry of the process that startPostgresProcess forks.
const options = JSON.parse(process.argv[2]) as PostgresOptions;
const started = startPostgres(options);

process.once('disconnect', () => {
  void started.then(server => server.stop());
});

void started.then(server => {
  // Gone already: the disconnect handler above is at work.
  if (process.connected) process.send!(omit(server, 'stop'));
});
