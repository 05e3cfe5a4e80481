import type { Argv } from 'yargs';
import { alignColumns, formatBytes } from '../../src/text.ts';
import { parseBytes } from '../options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert chunk ARTIFACT`: cuts a UNet that is already converted. */
export const chunkCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { chunkArtifact } = await import('../../src/commands/chunk.ts');
    const { artifact, force, 'max-chunk-size': size } = argv as Arguments;
    const request = { artifact, force, maxChunkBytes: parseBytes(size, '--max-chunk-size') };
    const chunks = await report.follow(['chunk'], (context) => chunkArtifact(request, context));
    const rows = chunks.map(({ path, byteLength }) => [path, formatBytes(byteLength)]);
    report.result({ chunks }, alignColumns([['chunk', 'size'], ...rows]));
    return 0;
  },
};

function declare(yargs: Argv) {
  return yargs
    .positional('artifact', {
      type: 'string',
      demandOption: true,
      describe: 'A UNet that is not cut yet: a model.onnx or its folder, a .mlpackage or a .mlmodelc',
    })
    .option('max-chunk-size', { type: 'string', default: '1GB', describe: 'Largest chunk' })
    .option('force', { type: 'boolean', default: false, describe: 'Replace chunks that exist' })
    .example(
      '$0 chunk ./out/onnx/unet --max-chunk-size 500MB',
      'writes ./out/onnx/unet_chunk1, unet_chunk2, …',
    );
}
