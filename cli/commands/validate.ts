import type { Argv } from 'yargs';
import { alignColumns } from '../../src/text.ts';
import type { Verdict } from '../../src/validate/verdict.ts';
import { boundOptions, runBounds } from '../bound-options.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert validate PATH --reference …`: runs models and compares every output with a reference. */
export const validateCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { validate } = await import('../../src/commands/validate.ts');
    const { path, reference, 'min-psnr': minPsnr, 'round-to-float16': roundToFloat16 } = argv as Arguments;
    const bounds = runBounds(argv as Arguments);
    const hub = await hubOptions(argv as Arguments);
    const stages = await withDownload(['validate'], path, reference);
    const options = { artifact: path, reference, minPsnr, roundToFloat16, ...bounds, hub };
    const verdicts = await report.follow(stages, (context) => validate(options, context));
    report.result({ verdicts }, describeVerdicts(verdicts));
    return verdicts.every(({ pass }) => pass) ? 0 : 1;
  },
};

/** Table with a row for each output, and whether all of them pass. */
export function describeVerdicts(verdicts: readonly Verdict[]): string {
  const isQuantized = verdicts.some(({ outputs }) =>
    outputs.some(({ float32Psnr }) => float32Psnr !== undefined),
  );
  const rows = verdicts.flatMap(({ format, paths, floor, outputs }) =>
    outputs.map(({ name, inputs, psnr, float32Psnr, applePsnr, maxAbsError, nonFinite, pass }) => [
      format,
      `${paths[0] ?? ''}${paths.length > 1 ? ` +${paths.length - 1}` : ''}`,
      name,
      inputs,
      decibels(psnr),
      String(floor),
      ...(isQuantized ? [float32Psnr === undefined ? '' : decibels(float32Psnr)] : []),
      decibels(applePsnr),
      maxAbsError.toExponential(1),
      nonFinite.reference === 0
        ? String(nonFinite.candidate)
        : `${nonFinite.candidate}, and ${nonFinite.reference} of the reference`,
      pass ? 'pass' : 'FAIL',
    ]),
  );
  const failed = verdicts.filter(({ pass }) => !pass).map(({ paths }) => paths.join(', '));
  return [
    alignColumns([
      [
        ...['format', 'path', 'output', 'inputs', 'PSNR dB', 'floor'],
        ...(isQuantized ? ['dB to float32'] : []),
        ...['Apple’s dB', 'max error', 'not finite', ''],
      ],
      ...rows,
    ]),
    ...(isQuantized
      ? [
          'Models with fewer bits are held to the floor by a reference with the same bits; what the bits cost is the distance to float32.',
        ]
      : []),
    failed.length === 0 ? 'Every output passes.' : `Too far from the reference: ${failed.join(', ')}.`,
  ].join('\n\n');
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('path', {
      type: 'string',
      demandOption: true,
      describe:
        'A conversion’s output folder, one model’s folder, an .onnx, .mlpackage, .mlmodelc or .aimodel',
    })
    .option('reference', {
      type: 'string',
      demandOption: true,
      describe:
        'A checkpoint, or a UNet, VAE or ControlNet alone (its float32 graph is built), another conversion, an .onnx, or recorded inputs and outputs (.safetensors)',
    })
    .option('min-psnr', {
      type: 'number',
      default: 35,
      describe: 'Lowest PSNR in dB that passes: 20·log10(max|reference| / rmse)',
    })
    .option('round-to-float16', {
      type: 'boolean',
      default: false,
      describe: 'Core ML: round to float16 after every operation, so that overflow shows',
    })
    .options(boundOptions)
    .example(
      '$0 validate ./out --reference ./stable-diffusion-v1-5',
      'exit code 1 when an output is below 35 dB',
    );
}

function decibels(value: number): string {
  return value.toFixed(1).replace('Infinity', '∞');
}
