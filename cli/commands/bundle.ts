import type { Argv } from 'yargs';
import { alignColumns, formatBytes } from '../../src/text.ts';
import { forOption, parseClients } from '../clients.ts';
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
    const clients = parseClients((argv as Arguments).for);
    const result = await report.follow(['bundle'], (context) =>
      bundlePackages({ folder: dir, tokenizer, compiler, clients }, context),
    );
    const tables = result.bundles.map(({ folder, files }) => {
      const rows = files.map(({ name, byteLength }) => [name, formatBytes(byteLength)]);
      return `${alignColumns([['file', 'size'], ...rows])}\n\nWritten to ${folder}`;
    });
    report.result(result, tables.join('\n\n'));
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
    .option('for', { ...forOption, describe: `${forOption.describe} [default: swift]` })
    .option('compiler', compilerOption)
    .example('$0 bundle ./out', 'writes ./out/Resources')
    .example('$0 bundle ./out --for openvino', 'writes ./out/onnx-openvino from ./out/onnx');
}
