import type { Argv } from 'yargs';
import { alignColumns, formatBytes } from '../../src/text.ts';
import type { Command } from './command.ts';
import { compilerOption } from './compile.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert bundle DIR`: makes the folder that Apple's Swift package loads. */
export const bundleCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { bundlePackages } = await import('../../src/commands/bundle.ts');
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
      describe: 'Folder of .mlpackage files, from sdconvert or Apple’s converter',
    })
    .option('tokenizer', {
      type: 'string',
      describe: 'Folder with vocab.json and merges.txt [default: DIR/onnx/tokenizer]',
    })
    .option('compiler', compilerOption)
    .example('$0 bundle ./out', 'writes ./out/Resources');
}
