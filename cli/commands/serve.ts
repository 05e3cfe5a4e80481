import { once } from 'node:events';
import type { Argv } from 'yargs';
import { wholeNumber } from '../options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert serve OUT`: serves the page that `sdconvert web OUT` made, until Ctrl-C. */
export const serveCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { serve } = await import('../../src/commands/serve.ts');
    const { dir, host, port } = argv as Arguments;
    return report.follow([], async ({ signal }) => {
      const server = await serve({ folder: dir, host, port: wholeNumber(port, '--port', 0) });
      const { folder, address } = server;
      report.result({ folder, address }, `${folder} is at ${address}  (Ctrl-C ends it)`);
      if (!signal?.aborted) await once(signal ?? new AbortController().signal, 'abort');
      await server.close();
      return 0;
    });
  },
};

function declare(yargs: Argv) {
  return yargs
    .positional('dir', {
      type: 'string',
      demandOption: true,
      describe: 'A conversion’s output folder, or a folder that sdconvert web wrote',
    })
    .option('port', { type: 'number', default: 8080, describe: 'Port; 0 for any that is free' })
    .option('host', {
      type: 'string',
      default: '127.0.0.1',
      describe: 'Address to listen on; browsers trust a page from another machine only over HTTPS',
    })
    .example('$0 serve ./out', 'the page of ./out/web at http://127.0.0.1:8080/');
}
