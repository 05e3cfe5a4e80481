import type { Argv } from 'yargs';
import { clientNames } from '../../src/bundle/profiles/profile.ts';
import { isWhatConvertWrites, profiles } from '../../src/bundle/profiles/profiles.ts';
import { alignColumns, formatBytes } from '../../src/text.ts';
import { forOption, parseClients } from '../clients.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import type { NeededOption } from '../needed-options.ts';
import type { Command } from './command.ts';
import { compilerOption } from './compile.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** What concerns compiled models only. */
export const bundleNeeds: readonly NeededOption[] = ['tokenizer', 'compiler'].map((option) => ({
  option,
  needs: '--for swift, mochi or guernika',
  isMet: ({ for: clients }) =>
    typeof clients !== 'string' ||
    (parseClients(clients)?.some((client) => {
      const { target, form } = profiles[client];
      return target === 'coreml' && form === undefined;
    }) ??
      true),
}));

/** `sdconvert bundle DIR`: makes the folders that clients load. */
export const bundleCommand: Command = {
  options: declare,
  needed: bundleNeeds,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { bundlePackages } = await import('../../src/commands/bundle.ts');
    const { dir, output, tokenizer, compiler } = argv as Arguments;
    const clients = parseClients((argv as Arguments).for);
    const hub = await hubOptions(argv as Arguments);
    const stages = await withDownload(['bundle'], dir);
    const result = await report.follow(stages, (context) =>
      bundlePackages({ folder: dir, output, tokenizer, compiler, clients, hub }, context),
    );
    const tables = result.bundles.map(({ folder, files }) => {
      const rows = files.map(({ name, byteLength }) => [name, formatBytes(byteLength)]);
      return `${alignColumns([['file', 'size'], ...rows])}\n\nWritten to ${folder}`;
    });
    report.result(result, tables.join('\n\n'));
    return 0;
  },
};

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('dir', {
      type: 'string',
      demandOption: true,
      describe:
        'Output folder of a conversion, any folder of .mlpackage files or of ONNX models, or a repository of them on the Hub',
    })
    .option('output', {
      alias: 'o',
      type: 'string',
      describe: 'Folder in which the clients’ folders are made [default: DIR]',
    })
    .option('tokenizer', {
      type: 'string',
      describe: 'Core ML: folder with vocab.json and merges.txt [default: DIR/onnx/tokenizer]',
    })
    .option(
      'for',
      forOption(
        ' [default: swift]',
        clientNames.filter((client) => !isWhatConvertWrites(client)),
      ),
    )
    .option('compiler', compilerOption)
    .example('$0 bundle ./out', 'writes ./out/Resources')
    .example('$0 bundle ./out --for openvino', 'writes ./out/onnx-openvino from ./out/onnx')
    .example('$0 bundle org/name --for openvino -o ./name', 'the same of ONNX models on the Hub');
}
