import type { Argv } from 'yargs';
import { RequestError } from '../../src/errors.ts';
import { count } from '../../src/text.ts';
import { declareHubAccess, hubOptions } from '../hub-options.ts';
import { parseBytes, wholeNumber } from '../options.ts';
import { declareQueue } from '../queue-option.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert worker`: does the jobs of a queue until it is stopped. */
export const workerCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const given = argv as Arguments;
    const { work } = await import('../../src/fleet/queue/work.ts');
    const { storeOptionsFrom } = await import('../../src/fleet/store/open-store.ts');
    const { queue, 'tmp-dir': tmpDir, 'max-disk': disk, 'max-memory': memory, 'hub-rate': rate } = given;
    if (disk !== undefined && given['cache-dir'] !== undefined)
      throw new RequestError({
        problem: '--max-disk keeps downloads in the worker’s own folder, and --cache-dir elsewhere.',
        advice: 'Leave out one of them.',
      });
    const request = {
      queue,
      tmpDir,
      maxDiskBytes: disk === undefined ? undefined : parseBytes(disk, '--max-disk'),
      maxMemoryBytes: memory === undefined ? undefined : parseBytes(memory, '--max-memory'),
      hubRate: wholeNumber(rate, '--hub-rate', 1),
      hub: await hubOptions(given),
      store: storeOptionsFrom(process.env),
    };
    const done = await report.followLog((context) => work(request, context));
    report.result(done, `${count(done.done, 'step')} done, ${done.failed} failed.`);
    return 0;
  },
};

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareQueue(declareHubAccess(yargs, how))
    .option('tmp-dir', {
      type: 'string',
      describe: 'Folder for unfinished results, removed when the worker ends [default: the system’s]',
    })
    .option('max-disk', {
      type: 'string',
      describe:
        'Disk that unfinished results and downloads may take; downloads are then kept by the worker, not in the shared cache [default: any]',
    })
    .option('max-memory', {
      type: 'string',
      describe: 'Memory that a check may take [default: 2GB, or the least that it needs]',
    })
    .option('hub-rate', {
      type: 'number',
      default: 20,
      describe: 'Checkpoints that all workers together may begin to download in a minute',
    })
    .example(
      '$0 worker --queue redis://10.0.0.5:6379',
      'one step at a time, until Ctrl-C or SIGTERM: then the step that runs is finished, and a second signal gives it back',
    )
    .example(
      '$0 worker --queue redis://10.0.0.5:6379 --tmp-dir /scratch --max-disk 40GB',
      'on a machine with a small disk; start several workers for several steps at once',
    );
}
