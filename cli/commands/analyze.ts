import { basename, dirname, normalize } from 'node:path';
import type { Argv } from 'yargs';
import type { AnalyzeOptions, AnalyzeResult, AnalyzeTarget } from '../../src/commands/analyze.ts';
import { RequestError } from '../../src/errors.ts';
import { alignColumns, formatBytes } from '../../src/text.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import { parseBytes } from '../options.ts';
import type { Report } from '../report.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert analyze ARTIFACT`: measures the error of each weight at each bit width, and chooses mixed bits. */
export const analyzeCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { artifact, analysis = await besideArtifact(artifact), ...how } = argv as Arguments;
    const { output, force, 'in-place': inPlace, prompt: prompts } = how;
    const target = analyzeTarget(how);
    if (!target && (output !== undefined || inPlace || force))
      throw new RequestError({
        problem: 'analyze writes a model only for a target.',
        advice: 'Pass --target-psnr or --target-size, or leave out --output, --in-place and --force.',
      });
    const hub = await hubOptions(argv as Arguments);
    return runAnalysis({ artifact, output, inPlace, force, analysis, prompts, target, hub }, report);
  },
};

/** Measures and prints the result; also for `quantize --analyze`. Returns the exit code. */
export async function runAnalysis(options: AnalyzeOptions, report: Report): Promise<number> {
  const { analyze, analyzeStages } = await import('../../src/commands/analyze.ts');
  const stages = await withDownload(analyzeStages(options), options.artifact);
  const result = await report.follow(stages, (context) => analyze(options, context));
  const { points, reports, chosen } = result; // the measurements are in their own file
  report.result({ points, reports, chosen }, describeAnalysis(result));
  return 0;
}

/** Target of the quantised model; `undefined` to measure only. Throws `RequestError` for two targets. */
export function analyzeTarget({
  'target-psnr': psnr,
  'target-size': size,
}: {
  readonly 'target-psnr'?: number | undefined;
  readonly 'target-size'?: string | undefined;
}): AnalyzeTarget | undefined {
  if (psnr !== undefined && size !== undefined)
    throw new RequestError({
      problem: '--target-psnr and --target-size exclude each other.',
      advice: 'Pass only one of them.',
    });
  if (psnr !== undefined) return { psnr };
  return size === undefined ? undefined : { bytes: parseBytes(size, '--target-size') };
}

/** Options for the target of a measurement. */
export const targetOptions = {
  'target-psnr': { type: 'number', describe: 'Write the smallest model with at least this PSNR in dB' },
  'target-size': { type: 'string', describe: 'Write the most accurate model up to this size (600MB)' },
  prompt: { type: 'string', array: true, describe: 'Prompts to measure with' },
} as const;

/** Options for the output of a quantised model. */
export const placeOptions = {
  output: { alias: 'o', type: 'string', describe: 'Path of the quantised model' },
  'in-place': {
    type: 'boolean',
    default: false,
    describe: 'Replace the model itself instead; this cannot be undone',
  },
  force: { type: 'boolean', default: false, describe: 'Replace an existing output' },
} as const;

function describeAnalysis({ points, reports, chosen }: AnalyzeResult): string {
  const rows = points.map(({ bits, bytes, psnr }) => [String(bits), formatBytes(bytes), psnr.toFixed(1)]);
  return [
    alignColumns([['bits', 'size', 'PSNR, dB'], ...rows]),
    ...(chosen
      ? [`Written to ${chosen.written.path}, with the bits of each weight in ${chosen.recipe}`]
      : []),
    ...(reports.length > 0 ? [`Plot and tables: ${reports.join(', ')}`] : []),
  ].join('\n\n');
}

/** `out/onnx/unet` → `out/onnx/unet.analysis.json`; of a model on the Hub, here: `hf://org/name/onnx/unet` → `unet.analysis.json`. */
async function besideArtifact(artifact: string): Promise<string> {
  const place = normalize(artifact).replace(/[/\\]$/, '');
  const model = basename(place) === 'model.onnx' ? dirname(place) : place;
  const { isOnHub } = await import('../../src/checkpoint/from-hub/locate-requested.ts');
  return `${(await isOnHub(artifact)) ? basename(model) : model}.analysis.json`;
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('artifact', {
      type: 'string',
      demandOption: true,
      describe:
        'An ONNX UNet in a conversion’s onnx folder, with its text encoder, tokenizer and scheduler; or one on the Hub',
    })
    .option('analysis', {
      type: 'string',
      describe:
        'File for the measurements, which take hours for a large model; an existing one is resumed [default: ARTIFACT.analysis.json]',
    })
    .options(targetOptions)
    .options(placeOptions)
    .example(
      '$0 analyze ./out/onnx/unet --target-size 600MB -o ./small/unet',
      'the best mixed bits for that size; the recipe also fits Core ML packages and fine-tunes',
    );
}
