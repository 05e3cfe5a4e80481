import type { Argv } from 'yargs';
import type { Compiler } from '../../src/formats/coreml/compiled/compilers.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import { everyName } from '../options.ts';
import type { Command } from './command.ts';

/** Choice of the compiler; also for `bundle` and `convert`. */
export const compilerOption = {
  choices: everyName<Compiler>({ own: true, apple: true }),
  default: 'own',
  describe: 'own: on any machine, experimental until confirmed on devices; apple: on a Mac with Xcode',
} as const;

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert compile PACKAGE`: what Xcode's compiler does, on any machine. */
export const compileCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { compilePackage } = await import('../../src/commands/compile.ts');
    const { package: path, output, compiler, force } = argv as Arguments;
    const hub = await hubOptions(argv as Arguments);
    const request = { package: path, output, compiler, force, hub };
    const stages = await withDownload(['compile'], path);
    const compiled = await report.follow(stages, (context) => compilePackage(request, context));
    report.result(compiled, `Written to ${compiled.path}`);
    return 0;
  },
};

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('package', {
      type: 'string',
      demandOption: true,
      describe: 'A .mlpackage, from sdconvert or another tool',
    })
    .option('output', {
      alias: 'o',
      type: 'string',
      describe: 'The .mlmodelc to write [default: next to the package]',
    })
    .option('compiler', compilerOption)
    .option('force', { type: 'boolean', default: false, describe: 'Replace an existing .mlmodelc' })
    .example('$0 compile Unet.mlpackage', 'writes Unet.mlmodelc');
}
