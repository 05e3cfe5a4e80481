import type { Argv } from 'yargs';
import { ValidationError } from '../../src/errors.ts';
import { count } from '../../src/text.ts';
import { declareHubOptions, hubOptions } from '../hub-options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert verify OUT`: checks files against their recorded hashes. */
export const verifyCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { verify } = await import('../../src/commands/verify.ts');
    const { path, ...args } = argv as Arguments;
    const request = { path, hub: await hubOptions(args) };
    const result = await report.follow(['verify'], (context) => verify(request, context));
    const { files, problems } = result;
    report.result(
      result,
      problems.length > 0
        ? problems.join('\n')
        : `${result.path}: ${count(files, 'file')}, ${files === 1 ? 'unchanged' : 'all unchanged'}`,
    );
    if (problems.length === 0) return 0;
    report.failure(
      new ValidationError({
        problem: `${count(problems.length, 'file')} of ${result.path} ${problems.length === 1 ? 'has' : 'have'} changed or ${problems.length === 1 ? 'is' : 'are'} missing.`,
        advice: 'Convert again with --force, or copy or download the damaged files again.',
      }),
    );
    return 1;
  },
};

function declare(yargs: Argv) {
  return declareHubOptions(
    yargs.positional('path', {
      type: 'string',
      demandOption: true,
      describe: 'A conversion’s output folder, or a repository in the Hub’s cache (its id or its folder)',
    }),
  )
    .example('$0 verify ./stable-diffusion-v1-5', 'compares the SHA-256 of every file with sdconvert.json')
    .example('$0 verify org/name', 'compares the downloaded files of org/name with the Hub’s hashes');
}
