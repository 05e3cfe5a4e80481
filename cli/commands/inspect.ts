import type { Argv } from 'yargs';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert inspect PATH`: says what a file or folder is and what to do with it. */
export const inspectCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { inspect } = await import('../../src/commands/inspect.ts');
    const { describe } = await import('../../src/inspect/describe.ts');
    const { path } = argv as Arguments;
    const hub = await hubOptions(argv as Arguments);
    const inspection = await report.follow(await withDownload([], path), (context) =>
      inspect({ path, hub }, context),
    );
    report.result(inspection, describe(inspection));
    return 0;
  },
};

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('path', {
      type: 'string',
      demandOption: true,
      describe: 'A folder, a file, or a model on the Hub',
    })
    .example('$0 inspect ./stable-diffusion-v1-5', 'family, components, sizes, and the next command');
}
