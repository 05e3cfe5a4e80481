import type { Argv } from 'yargs';
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
    const inspection = await report.follow([], (context) => inspect({ path }, context));
    report.result(inspection, describe(inspection));
    return 0;
  },
};

function declare(yargs: Argv) {
  return yargs
    .positional('path', { type: 'string', demandOption: true, describe: 'A folder or file' })
    .example('$0 inspect ./stable-diffusion-v1-5', 'family, components, sizes, and the next command');
}
