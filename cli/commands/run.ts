import type { Argv } from 'yargs';
import { RequestError } from '../../src/errors.ts';
import { alignColumns } from '../../src/text.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert run ARTIFACT… --inputs --outputs`: runs a model, or a chain of chunks. */
export const runCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const {
      artifacts,
      inputs: path,
      outputs: target,
      record,
      'round-to-float16': roundToFloat16,
    } = argv as Arguments;
    if (target === undefined && record === undefined) throw nowhere();
    const { isSamePlace } = await import('../../src/io/real-place.ts');
    if (target !== undefined && record !== undefined && (await isSamePlace(target, record)))
      throw new RequestError({
        problem: `--outputs and --record both name ${target}: one would replace the other.`,
        advice: 'Leave one of them out; a record has the outputs, too.',
      });
    for (const [option, written] of [['--outputs', target] as const, ['--record', record] as const])
      if (written !== undefined && (await isSamePlace(written, path)))
        throw new RequestError({
          problem: `${option} and --inputs both name ${path}: the inputs would be gone.`,
          advice: 'Name another file.',
        });
    const { runArtifacts } = await import('../../src/commands/run.ts');
    const { refuseOtherFile } = await import('../../src/commands/refuse-existing.ts');
    if (target !== undefined) await refuseOtherFile(target);
    const { readRecording } = await import('../../src/run/read-recording.ts');
    const { writeSafetensors } = await import('../../src/weights/safetensors-writer.ts');
    const inputs = await readRecording(path);
    const hub = await hubOptions(argv as Arguments);
    const stages = await withDownload(['run'], ...artifacts);
    const outputs = await report.follow(stages, (context) =>
      runArtifacts({ artifacts, inputs, record, roundToFloat16, hub }, context),
    );
    if (target !== undefined)
      await writeSafetensors(
        target,
        [...outputs].map(([name, tensor]) => ({ name, ...tensor })),
      );
    const written = [...outputs].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    const rows = written.map(({ name, dtype, shape }) => [name, dtype, shape.join(' × ')]);
    report.result(
      { outputs: written, path: target, record },
      `${alignColumns([['output', 'dtype', 'shape'], ...rows])}\n\nWritten to ${[target, record].filter((path) => path !== undefined).join(' and ')}`,
    );
    return 0;
  },
};

function nowhere(): RequestError {
  return new RequestError({
    problem: 'it is not said where the outputs go.',
    advice: 'Name a file: --outputs out.safetensors, or --record reference.safetensors for validate.',
  });
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('artifacts', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'A model.onnx or its folder, a .mlpackage, .mlmodelc or .aimodel; several run as a chain',
    })
    .option('inputs', {
      type: 'string',
      demandOption: true,
      describe: 'A .safetensors with a tensor for each input',
    })
    .option('outputs', { type: 'string', describe: 'Where to write the outputs (.safetensors)' })
    .option('record', {
      type: 'string',
      describe: 'Where to write inputs and outputs together, as a reference for validate (.safetensors)',
    })
    .option('round-to-float16', {
      type: 'boolean',
      default: false,
      describe: 'Core ML: round to float16 after every operation, so that overflow shows',
    })
    .example(
      '$0 run out/onnx/unet_chunk1 out/onnx/unet_chunk2 --inputs in.safetensors --outputs out.safetensors',
      'a chain of chunks',
    );
}
