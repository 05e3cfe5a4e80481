import type { Argv } from 'yargs';
import { inspect } from '../../src/commands/inspect.ts';
import { describe } from '../../src/inspect/describe.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert inspect PATH`: says what something is and what to do with it. */
export const inspectCommand: Command = {
  usage: 'inspect <path>',
  summary: 'Say what a checkpoint, weight file or artifact is',
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { path } = argv as Arguments;
    const inspection = await report.follow([], (context) => inspect(path, context));
    report.result(inspection, describe(inspection));
    return 0;
  },
};

function declare(yargs: Argv) {
  return yargs
    .positional('path', { type: 'string', demandOption: true, describe: 'A folder or file' })
    .example('$0 inspect ./stable-diffusion-v1-5', 'family, components, sizes, and the next command');
}
