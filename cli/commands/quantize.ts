import type { Argv } from 'yargs';
import type { QuantizeResult } from '../../src/commands/quantize.ts';
import { RequestError } from '../../src/errors.ts';
import type { Recipe } from '../../src/mixed-bits/recipe.ts';
import { planQuantization, type QuantizationPlan, quantizationModes } from '../../src/quantize/plan.ts';
import type { WeightReport } from '../../src/quantize/quantized-weight.ts';
import { alignColumns, count, formatBytes } from '../../src/text.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import { analyzeTarget, placeOptions, runAnalysis, targetOptions } from './analyze.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

type How = Pick<
  Arguments,
  | 'nbits'
  | 'recipe'
  | 'mode'
  | 'weights'
  | 'skip-weights'
  | 'group-size'
  | 'int8-palette'
  | 'channel-scales'
  | 'matmul-nbits'
>;

/** `sdconvert quantize ARTIFACT`: stores the weights of a converted model in fewer bits. */
export const quantizeCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { artifact, output, force, analyze: analysis, verbose, ...how } = argv as Arguments;
    const place = { output, inPlace: how['in-place'], force };
    refuseIgnored(argv as Arguments);
    const hub = await hubOptions(argv as Arguments);
    if (analysis !== undefined) {
      const { prompt: prompts, ...targets } = how;
      const target = analyzeTarget(targets);
      return runAnalysis({ artifact, ...place, analysis, prompts, target, hub }, report);
    }
    const { quantizeArtifact } = await import('../../src/commands/quantize.ts');
    const { namesWithoutWeight, planRecipe, readRecipe } = await import('../../src/mixed-bits/recipe.ts');
    const recipe =
      how.recipe === undefined || how.nbits !== undefined ? undefined : await readRecipe(how.recipe);
    const plan = recipe ? planRecipe(recipe) : uniformPlan(how);
    const seen: string[] = [];
    const watched: QuantizationPlan = (weight) => {
      seen.push(weight.name);
      return plan(weight);
    };
    const stages = await withDownload(['quantize'], artifact);
    const result = await report.follow(stages, async (context) => {
      const quantized = await quantizeArtifact({ artifact, plan: watched, ...place, hub }, context);
      const unfit = recipe ? namesWithoutWeight(recipe, seen) : [];
      const message = recipe && describeUnfit(recipe, unfit, seen, artifact);
      if (message) context.onProgress?.({ type: 'note', message });
      return quantized;
    });
    report.result(result, describeQuantization(result, verbose === true));
    return 0;
  },
};

/** Options that go with --nbits. */
const uniformOptions = [
  'mode',
  'weights',
  'skip-weights',
  'group-size',
  'int8-palette',
  'channel-scales',
  'matmul-nbits',
] as const;

/** Options that go with --analyze. */
const mixOptions = ['target-psnr', 'target-size', 'prompt'] as const;

/** Throws `RequestError` for options that would have no effect. */
function refuseIgnored(all: Arguments): void {
  const { analyze, recipe } = all;
  const hasTarget = all['target-psnr'] !== undefined || all['target-size'] !== undefined;
  if (analyze !== undefined) {
    refuse(all, '--analyze', ['nbits', 'recipe', ...uniformOptions]);
    if (!hasTarget) refuse(all, '--analyze without a target', ['output', 'in-place', 'force']);
    return;
  }
  refuse(all, 'quantize without --analyze', mixOptions);
  if (recipe !== undefined) refuse(all, '--recipe', uniformOptions);
}

function refuse(all: Arguments, what: string, options: readonly (keyof Arguments)[]): void {
  const given = options.filter(
    (name) => all[name] !== undefined && all[name] !== false && all[name] !== quantizationModes[0],
  );
  if (given.length === 0) return;
  throw new RequestError({
    problem: `${what} does not take ${given.map((name) => `--${name}`).join(', ')}.`,
    advice: 'Leave them out, as they would have no effect: see sdconvert quantize --help.',
  });
}

/** Note on names of a recipe that match no weight: how many, and the first of them. */
function describeUnfit(
  recipe: Recipe,
  unfit: readonly string[],
  weights: readonly string[],
  artifact: string,
): string | undefined {
  // A model with nothing left to quantise has its own note.
  if (unfit.length === 0 || weights.length === 0) return undefined;
  const first = `${unfit.slice(0, 3).join(', ')}${unfit.length > 3 ? ', …' : ''}`;
  return `${unfit.length} of the recipe’s ${count(recipe.size, 'name')} fit no weight of ${artifact} that can be quantised: ${first}`;
}

/** Plan with the same bits for all weights. Throws `RequestError` unless exactly one of --nbits and --recipe is given. */
function uniformPlan(how: How): QuantizationPlan {
  const { nbits, recipe } = how;
  if (nbits === undefined || recipe !== undefined) {
    throw new RequestError({
      problem: recipe ? '--nbits and --recipe exclude each other.' : 'the number of bits is missing.',
      advice: 'Pass --nbits or --recipe, or measure with --analyze.',
    });
  }
  return planQuantization({
    bits: nbits,
    mode: how.mode,
    weights: how.weights,
    skipWeights: how['skip-weights'],
    groupSize: how['group-size'],
    int8Palette: how['int8-palette'],
    channelScales: how['channel-scales'],
    matMulNBits: how['matmul-nbits'],
  });
}

/** Table of the weights, largest error first (ten of them, or `all`), and the total size. */
function describeQuantization(
  { path, weights, bytesBefore, bytesAfter }: QuantizeResult,
  all: boolean,
): string {
  const ranked = weights.toSorted((a, b) => loudness(a) - loudness(b));
  const shown = all ? ranked : ranked.slice(0, 10);
  const rows = shown.map(({ name, shape, form, bytesBefore: before, bytesAfter: after, decibels }) => [
    name,
    shape.join('×'),
    String(form.bits),
    formatBytes(before),
    formatBytes(after),
    decibels === null ? '∞' : decibels.toFixed(1),
  ]);
  const rest = weights.length - shown.length;
  const table = alignColumns([
    ['weight', 'shape', 'bits', 'before', 'after', 'signal to error, dB'],
    ...rows,
  ]);
  return [
    ...(rows.length > 0 ? [table] : []),
    ...(rest > 0 ? [`… and ${count(rest, 'weight')} that lost less (--verbose or --json lists them).`] : []),
    `${count(weights.length, 'weight')} in ${path}: ${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)}`,
  ].join('\n');
}

function loudness({ decibels }: WeightReport): number {
  return decibels ?? Number.POSITIVE_INFINITY;
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('artifact', {
      type: 'string',
      demandOption: true,
      describe: 'A model.onnx or its folder, a .mlpackage or .aimodel, or (with --output) a .mlmodelc',
    })
    .option('nbits', {
      alias: 'quantize-nbits',
      type: 'number',
      describe: 'Bits per weight: 1, 2, 3, 4, 6 or 8 for palettes, 4 or 8 for linear modes',
    })
    .options(placeOptions)
    .option('mode', {
      choices: quantizationModes,
      default: quantizationModes[0],
      describe: 'palette: a look-up table that minimises the error; linear: whole numbers times a scale',
    })
    .option('group-size', {
      type: 'number',
      describe:
        'Channels that share a palette (Core ML: from macOS 15; Core AI) or, with linear modes, a scale [default: all]',
    })
    .option('weights', {
      type: 'string',
      array: true,
      describe: 'Quantise only weights with these names; * matches anything',
    })
    .option('skip-weights', { type: 'string', array: true, describe: 'Skip weights with these names' })
    .option('int8-palette', {
      type: 'boolean',
      default: false,
      describe: 'Store palettes in 8 bits (Core ML alone: from macOS 15)',
    })
    .option('channel-scales', {
      type: 'boolean',
      default: false,
      describe: 'Scale each channel before palettizing it (Core ML alone: from macOS 15)',
    })
    .option('matmul-nbits', {
      type: 'boolean',
      default: false,
      describe: 'ONNX, linear, 4 bits: use MatMulNBits for matrices, for onnxruntime with WebGPU',
    })
    .option('recipe', {
      type: 'string',
      describe:
        'JSON file with the bits of each weight, from analyze or Apple’s tool (FILE#NAME if it has several)',
    })
    .option('analyze', {
      type: 'string',
      describe: 'Measure an ONNX UNet into this file and choose mixed bits, as sdconvert analyze does',
    })
    .options(targetOptions)
    .group(['analyze', 'target-psnr', 'target-size', 'prompt', 'recipe'], 'Mixed bits:')
    .example(
      '$0 quantize ./out/onnx/unet --nbits 8 -o ./small/unet',
      'writes the UNet with palettes of 256 numbers',
    )
    .example(
      '$0 quantize ./out/onnx/unet --analyze unet.json --target-size 600MB -o ./small/unet',
      'the best mixed bits for that size; unet.recipe.json also fits Core ML packages and fine-tunes',
    );
}
