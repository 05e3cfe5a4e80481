import type { Argv } from 'yargs';
import { RequestError } from '../../src/errors.ts';
import { alignColumns, formatBytes } from '../../src/text.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import { parseBytes } from '../options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert chunk ARTIFACT`: cuts a converted UNet into chunks. */
export const chunkCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { chunkArtifact } = await import('../../src/commands/chunk.ts');
    const { artifact, output, force, 'max-chunk-size': size, ...rest } = argv as Arguments;
    for (const [option, advice] of appleOptions) if (rest[option]) throw notHere(option, advice);
    const request = {
      artifact,
      output,
      removeOriginal: rest['remove-original'],
      hub: await hubOptions(argv as Arguments),
      force,
      maxChunkBytes: parseBytes(size, '--max-chunk-size'),
    };
    const stages = await withDownload(['chunk'], artifact);
    const chunks = await report.follow(stages, (context) => chunkArtifact(request, context));
    const rows = chunks.map(({ path, byteLength }) => [path, formatBytes(byteLength)]);
    report.result({ chunks }, alignColumns([['chunk', 'size'], ...rows]));
    return 0;
  },
};

/** Options of Apple's `chunk_mlprogram` without a counterpart here, and what to do instead. */
const appleOptions = [
  [
    'merge-chunks-in-pipeline-model',
    'Leave it out: apps load the two chunks as they are, and sdconvert run accepts them in order.',
  ],
  [
    'check-output-correctness',
    'Leave it out, and compare the chunks with the model: sdconvert validate CHUNK --reference MODEL',
  ],
] as const;

function notHere(option: string, advice: string): RequestError {
  return new RequestError({ problem: `chunk does not take Apple’s --${option}.`, advice });
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('artifact', {
      type: 'string',
      demandOption: true,
      describe: 'A whole UNet: a model.onnx or its folder, a .mlpackage or a .mlmodelc',
    })
    .option('max-chunk-size', { type: 'string', default: '1GB', describe: 'Maximum size of a chunk' })
    .option('output', {
      alias: 'o',
      type: 'string',
      describe: 'Folder for the chunks [default: next to the model]',
    })
    .option('remove-original', {
      type: 'boolean',
      default: false,
      describe: 'Remove the model once all chunks are complete',
    })
    .option('merge-chunks-in-pipeline-model', { type: 'boolean', hidden: true })
    .option('check-output-correctness', { type: 'boolean', hidden: true })
    .option('force', { type: 'boolean', default: false, describe: 'Replace existing chunks' })
    .example(
      '$0 chunk ./out/onnx/unet --max-chunk-size 500MB',
      'writes ./out/onnx/unet_chunk1, unet_chunk2, …',
    );
}
