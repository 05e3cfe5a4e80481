import type { Argv } from 'yargs';

/** Declares the queue of a command. */
export function declareQueue<T>(yargs: Argv<T>) {
  return yargs.option('queue', {
    type: 'string',
    demandOption: true,
    describe: 'Redis or Valkey that holds the jobs: redis://HOST:PORT, or rediss:// with TLS',
  });
}
