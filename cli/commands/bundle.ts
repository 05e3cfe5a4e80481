import type { Argv } from 'yargs';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { compilers } from '../../src/formats/coreml/compiled/compile-package.ts';
import { alignColumns, formatBytes } from '../../src/text.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert bundle DIR`: packages that exist become what Apple's Swift package loads. */
export const bundleCommand: Command = {
  usage: 'bundle <dir>',
  summary: 'Make the Resources folder for Swift apps from .mlpackage files',
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { dir, tokenizer, compiler } = argv as Arguments;
    const { folder, files } = await report.follow(['bundle'], (context) =>
      bundlePackages({ folder: dir, tokenizer, compiler }, context),
    );
    const rows = files.map(({ name, byteLength }) => [name, formatBytes(byteLength)]);
    report.result({ folder, files }, `${alignColumns([['file', 'size'], ...rows])}\n\nWritten to ${folder}`);
    return 0;
  },
};

function declare(yargs: Argv) {
  return yargs
    .positional('dir', {
      type: 'string',
      demandOption: true,
      describe: 'A folder with packages, ours or those of Apple’s converter',
    })
    .option('tokenizer', {
      type: 'string',
      describe: 'A folder with vocab.json and merges.txt [default: DIR/onnx/tokenizer]',
    })
    .option('compiler', {
      choices: compilers,
      default: 'own' as const,
      describe: 'own: any machine, experimental until confirmed on devices; apple: a Mac with Xcode',
    })
    .example('$0 bundle ./out', 'writes ./out/Resources');
}
