import type { Argv } from 'yargs';
import type { Downloaded } from '../../src/commands/download.ts';
import { count, formatBytes } from '../../src/text.ts';
import { declareHubOptions, hubOptions } from '../hub-options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert download REPO`: a checkpoint, or ready-made Core ML models, from the Hub. */
export const downloadCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { download } = await import('../../src/commands/download.ts');
    const given = argv as Arguments;
    const { repo, variant, output } = given;
    const request = { ...(await hubOptions(given)), repo, variant, output };
    const downloaded = await report.follow(['download'], (context) => download(request, context));
    report.result(downloaded, describe(downloaded));
    return 0;
  },
};

function declare(yargs: Argv) {
  return declareHubOptions(
    yargs
      .positional('repo', {
        type: 'string',
        demandOption: true,
        describe: 'org/name, or org/name/file.safetensors for a single-file checkpoint',
      })
      .option('variant', {
        type: 'string',
        describe:
          'Weights of a checkpoint (fp16, non_ema), or a folder of ready-made Core ML models (original/packages, split_einsum/compiled, …)',
      })
      .option('output', {
        alias: 'o',
        type: 'string',
        describe:
          'Folder for the files [default: only the cache; for Core ML models ./models/<name>_<variant>]',
      }),
  )
    .example(
      '$0 download stable-diffusion-v1-5/stable-diffusion-v1-5',
      'the files that a conversion needs, into the Hub’s cache',
    )
    .example(
      '$0 download apple/coreml-stable-diffusion-v1-4 --variant original/packages',
      'ready-made .mlpackages, into ./models/coreml-stable-diffusion-v1-4_original_packages',
    );
}

function describe({ path, files }: Downloaded): string {
  const bytes = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return `${count(files.length, 'file')}, ${formatBytes(bytes)}, in ${path}`;
}
