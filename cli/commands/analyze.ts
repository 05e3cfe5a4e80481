import { basename, dirname, normalize } from 'node:path';
import type { Argv } from 'yargs';
import type { AnalyzeOptions, AnalyzeResult, AnalyzeTarget } from '../../src/commands/analyze.ts';
import { RequestError } from '../../src/errors.ts';
import { alignColumns, formatBytes } from '../../src/text.ts';
import { parseBytes } from '../options.ts';
import type { Report } from '../report.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert analyze ARTIFACT`: measures what each weight's bits cost, and chooses them. */
export const analyzeCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { artifact, analysis = besideArtifact(artifact), ...how } = argv as Arguments;
    const { output, force, 'in-place': inPlace } = how;
    const target = analyzeTarget(how);
    if (!target && (output !== undefined || inPlace || force))
      throw new RequestError({
        problem: 'analyze writes a model only for a target.',
        advice: 'Name --target-psnr or --target-size, or leave out --output, --in-place and --force.',
      });
    return runAnalysis({ artifact, output, inPlace, force, analysis, prompts: how.prompt, target }, report);
  },
};

/** Measures, and prints what it came to; for `quantize --analyze`, too. Gives the exit code. */
export async function runAnalysis(options: AnalyzeOptions, report: Report): Promise<number> {
  const { analyze, analyzeStages } = await import('../../src/commands/analyze.ts');
  const result = await report.follow(analyzeStages(options), (context) => analyze(options, context));
  const { points, reports, chosen } = result; // the measurements are in a file of their own
  report.result({ points, reports, chosen }, describeAnalysis(result));
  return 0;
}

/** What the model is to have; `undefined` where it is only measured. Throws `RequestError` for two targets. */
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
      advice: 'Name the one that matters.',
    });
  if (psnr !== undefined) return { psnr };
  return size === undefined ? undefined : { bytes: parseBytes(size, '--target-size') };
}

/** The options that say what is measured for. */
export const targetOptions = {
  'target-psnr': { type: 'number', describe: 'The least dB; writes the smallest model' },
  'target-size': { type: 'string', describe: 'The most bytes (600MB); writes the best model' },
  prompt: { type: 'string', array: true, describe: 'What is drawn while it is measured' },
} as const;

/** The options that say where a quantised model goes. */
export const placeOptions = {
  output: { alias: 'o', type: 'string', describe: 'Where the quantised model goes' },
  'in-place': {
    type: 'boolean',
    default: false,
    describe: 'Replace the model itself instead, which cannot be undone',
  },
  force: { type: 'boolean', default: false, describe: 'Replace an output that exists' },
} as const;

function describeAnalysis({ points, reports, chosen }: AnalyzeResult): string {
  const rows = points.map(({ bits, bytes, psnr }) => [String(bits), formatBytes(bytes), psnr.toFixed(1)]);
  return [
    alignColumns([['bits', 'size', 'PSNR, dB'], ...rows]),
    ...(chosen ? [`Written to ${chosen.written.path}, the bits of each weight to ${chosen.recipe}`] : []),
    ...(reports.length > 0 ? [`Plot and tables: ${reports.join(', ')}`] : []),
  ].join('\n\n');
}

/** `out/onnx/unet` → `out/onnx/unet.analysis.json` */
function besideArtifact(artifact: string): string {
  const place = normalize(artifact).replace(/[/\\]$/, '');
  return `${basename(place) === 'model.onnx' ? dirname(place) : place}.analysis.json`;
}

function declare(yargs: Argv) {
  return yargs
    .positional('artifact', {
      type: 'string',
      demandOption: true,
      describe: 'A UNet as ONNX, beside the text encoder, tokenizer and scheduler that draw with it',
    })
    .option('analysis', {
      type: 'string',
      describe:
        'The file that keeps what is measured (hours for a large model), resumed where it broke off [default: ARTIFACT.analysis.json]',
    })
    .options(targetOptions)
    .options(placeOptions)
    .example(
      '$0 analyze ./out/onnx/unet --target-size 600MB -o ./small/unet',
      'the best mixture of bits of that size; its recipe then fits Core ML packages and fine-tunes, too',
    );
}
