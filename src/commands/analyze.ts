import { basename, dirname, join } from 'node:path';
import { type FromHub, locateRequested, refuseInCache } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage } from '../context.ts';
import type { InputCase } from '../convert/networks/realistic.ts';
import { RequestError } from '../errors.ts';
import type { StoredArtifact } from '../formats/artifact.ts';
import { quantizableWeights, quantizeOnnx } from '../formats/onnx/quantize-onnx.ts';
import { type OpenOnnx, openOnnx } from '../formats/onnx/read-onnx.ts';
import { requireOnnxruntime } from '../formats/onnx/run/onnx-session.ts';
import { plannedFiles } from '../formats/onnx/write-onnx.ts';
import { openArtifact } from '../formats/open.ts';
import type { TensorMap } from '../formats/runner.ts';
import { exists, removePath, whileNameLocked } from '../io/disk.ts';
import { makeTemporaryFolder } from '../io/temporary-folder.ts';
import {
  type Analysis,
  choicesOf,
  errorOf,
  type MeasuredPoint,
  openAnalysis,
  writeAnalysis,
} from '../mixed-bits/analysis.ts';
import {
  type Allocation,
  bestWithin,
  notThatSmall,
  smallestWithin,
  type WeightChoices,
} from '../mixed-bits/choose-bits.ts';
import { denoisingCases } from '../mixed-bits/denoising-cases.ts';
import { measure } from '../mixed-bits/measure.ts';
import { planRecipe, UNTOUCHED, writeRecipe } from '../mixed-bits/recipe.ts';
import { outputsOf, psnrOfAll } from '../mixed-bits/whole-model.ts';
import type { PaletteBits } from '../quantize/palette/palette.ts';
import { writeAnalysisPage } from '../report/analysis-page.ts';
import { openRunner } from '../run/open-runner.ts';
import { formatBytes } from '../text.ts';
import { decibelText } from '../validate/decibels.ts';
import { checkRequest } from './check-request.ts';
import { type Watched, whileOutputsLocked, whileOutputsStay } from './in-output.ts';
import { noteUnlikeRecord } from './note-unlike-record.ts';
import { type OptionsOf, withDefaults } from './options.ts';
import { type QuantizeResult, quantizeArtifact, refuseUnplaced } from './quantize.ts';
import { refuseExisting } from './refuse-existing.ts';
import { refuseNested } from './refuse-nested.ts';

/** What to measure, and what to do with it. */
export interface AnalyzeRequest extends FromHub {
  /**
   * An ONNX UNet (`model.onnx` or its folder), next to the text encoder, tokenizer and scheduler it is measured with; or one
   * on the Hub, or its repository.
   */
  readonly artifact: string;
  /** File for the measurements; an existing one is resumed. */
  readonly analysis: string;
  /** Prompts that the UNet denoises while it is measured. */
  readonly prompts: readonly string[];
  /** Lowest PSNR in dB or largest size in bytes of the quantised model; if left out, nothing is quantised. */
  readonly target?: AnalyzeTarget | undefined;
  /** Path of the quantised model. With a target, either this or `inPlace` is required. */
  readonly output?: string | undefined;
  /** Whether the quantised model replaces the artifact; this cannot be undone. */
  readonly inPlace: boolean;
  readonly force: boolean;
}

/** Defaults of `analyze`. */
export const analyzeDefaults = {
  prompts: ['a photo of an astronaut riding a horse on mars', 'a red ball on a green field'],
  inPlace: false,
  force: false,
} as const satisfies Partial<AnalyzeRequest>;

/** Options of `analyze`; only `artifact` and `analysis` are required. */
export type AnalyzeOptions = OptionsOf<AnalyzeRequest, typeof analyzeDefaults>;

export type AnalyzeTarget = { readonly psnr: number } | { readonly bytes: number };

export interface AnalyzeResult {
  readonly analysis: Analysis;
  /** Without a target: every uniform bit width, largest first, each followed by the best mixture of at most its size. */
  readonly points: readonly MeasuredPoint[];
  /** Without a target: files with a table and a plot of the points. */
  readonly reports: readonly string[];
  /** The model that was written for the target. */
  readonly chosen?: ChosenMixture | undefined;
}

export interface ChosenMixture {
  readonly point: MeasuredPoint;
  /** File with the bits of each weight. */
  readonly recipe: string;
  readonly written: QuantizeResult;
}

/** Bit widths to measure: those that Core ML supports on every system, so that a recipe fits all formats. */
const mixBits = [8, 6, 4, 2, 1] as const satisfies readonly PaletteBits[];

/** The stages, in order. */
export function analyzeStages({ target }: Pick<AnalyzeRequest, 'target'>): readonly string[] {
  return ['draw', 'analyze', target ? 'choose' : 'compare'];
}

/**
 * Measures how much error each bit width causes in each weight of a UNet, on inputs of real denoising runs. Then it either
 * compares mixed bits with uniform bits of the same size, or chooses bits for a target, writes the model and measures it.
 * Throws `RequestError` for a target that cannot be reached (naming what can) and for an unsupported network,
 * `OutputExistsError`, `InterruptedError`, and what downloading, reading, writing and running throw.
 */
export async function analyze(options: AnalyzeOptions, context: Context = {}): Promise<AnalyzeResult> {
  checkRequest('analyze', options);
  const given = withDefaults<AnalyzeRequest, typeof analyzeDefaults>(analyzeDefaults, options);
  await requireOnnxruntime();
  // Fail now, not after hours of measuring.
  if (given.target) refuseUnplaced(given);
  if (given.target && 'psnr' in given.target) refuseBeyondPsnr(given.target.psnr);
  if (given.target && given.inPlace) await refuseInCache(given.artifact);
  const request = await locateRequested(given, { artifact: 'measured' }, context);
  await noteUnlikeRecord([request.artifact], context);
  return whileNameLocked(request.analysis, () =>
    whileOutputsStay([request.artifact], (requireUnchanged) =>
      analyzeUnet({ ...request, requireUnchanged }, context),
    ),
  );
}

type WatchedRequest = AnalyzeRequest & Watched;

async function analyzeUnet(request: WatchedRequest, context: Context): Promise<AnalyzeResult> {
  const { target, output, force } = request;
  const artifact = await openUnet(request.artifact);
  const { path: file } = artifact;
  if (target && output !== undefined) {
    await refuseExisting(artifact.place(output), { force });
    await refuseNested(artifact, artifact.place(output));
  }
  // Whether it may be written there, too.
  if (target) await whileOutputsLocked([artifact.place(output)], async () => {});
  if (await exists(request.analysis)) await openAnalysis(request.analysis);
  const cases = await inStage('draw', context, () => draw(file, request.prompts, context));
  const model = await openOnnx(file);
  const work = await makeTemporaryFolder();
  try {
    const weights = quantizableWeights(model);
    const analysis = await inStage('analyze', context, async () => {
      const output = await measure(
        { file, model, weights, cases, bits: mixBits, analysis: request.analysis },
        context,
      );
      return {
        output,
        detail: `${output.weights.size} weights × ${mixBits.length} bit widths, in ${request.analysis}`,
      };
    });
    const mixer = new Mixer(file, model, analysis, cases, work.path, context);
    if (!target) return await inStage('compare', context, () => compare(request, analysis, mixer, context));
    return await inStage('choose', context, () => choose(request, target, analysis, mixer));
  } finally {
    await model.close();
    await work.remove();
  }
}

async function compare(request: WatchedRequest, analysis: Analysis, mixer: Mixer, context: Context) {
  const points: MeasuredPoint[] = [];
  for (const [done, bits] of mixBits.entries()) {
    context.onProgress?.({
      type: 'progress',
      stage: 'compare',
      what: `${bits} bits`,
      done,
      total: mixBits.length,
    });
    // Of small weights alone none may become smaller.
    if (!mixer.choices.some(({ choices }) => choices.some((choice) => choice.bits === bits))) continue;
    const uniform = await mixer.measure(
      bits,
      new Map([...analysis.weights.keys()].map((name) => [name, bits])),
    );
    points.push(uniform);
    const mixture = mixer.bestWithin(uniform.bytes);
    if (mixture && changes(mixture)) points.push(await mixer.measure('mixed', mixture.bits));
  }
  const gains = points.flatMap(({ bits, psnr }, index) => {
    const uniform = points[index - 1];
    return bits === 'mixed' && uniform ? [`${uniform.bits} bits ${gain(psnr - uniform.psnr)}`] : [];
  });
  await request.requireUnchanged();
  await writeAnalysis(request.analysis, { ...analysis, points });
  const reports = await writeAnalysisPage(withoutJson(request.analysis), analysis, points);
  return { output: { analysis, points, reports }, detail: `mixed against uniform: ${gains.join(', ')}` };
}

async function choose(request: WatchedRequest, target: AnalyzeTarget, analysis: Analysis, mixer: Mixer) {
  const { allocation, point } =
    'bytes' in target ? await withinBytes(target.bytes, mixer) : await atPsnr(target.psnr, analysis, mixer);
  const recipe = `${withoutJson(request.analysis)}.recipe.json`;
  await request.requireUnchanged();
  await writeRecipe(recipe, allocation.bits);
  const written = await mixer.write(allocation.bits, request);
  const average =
    (8 * allocation.bytes) / [...analysis.weights.values()].reduce((sum, { elements }) => sum + elements, 0);
  return {
    output: { analysis, points: [point], reports: [], chosen: { point, recipe, written } },
    detail: `${average.toFixed(2)} bits a weight, ${formatBytes(point.bytes)}, ${decibelText(point.psnr)}`,
  };
}

async function withinBytes(bytes: number, mixer: Mixer) {
  const allocation = mixer.bestWithin(bytes);
  if (allocation && changes(allocation))
    return { allocation, point: await mixer.measure('mixed', allocation.bits) };
  if (allocation) throw largerThanModel(bytes, mixer.bytesOf(allocation));
  throw notThatSmall(bytes, mixer.bytesOf(mixer.smallest()));
}

/** Measured models per target: each measurement corrects the next choice. */
const CORRECTIONS = 5;

/** Finds the smallest model with the PSNR. The errors of weights do not quite add up, so each measurement corrects the aim. */
async function atPsnr(psnr: number, { measured: { peak } }: Analysis, mixer: Mixer) {
  let aim = errorOf(psnr, peak);
  let best: { allocation: Allocation; point: MeasuredPoint } | undefined;
  let highest = Number.NEGATIVE_INFINITY;
  for (let correction = 0; correction < CORRECTIONS; correction++) {
    const allocation = smallestWithin(mixer.choices, aim);
    if (!changes(allocation)) break;
    const point = await mixer.measure('mixed', allocation.bits);
    highest = Math.max(highest, point.psnr);
    if (point.psnr >= psnr && (!best || point.bytes < best.point.bytes)) best = { allocation, point };
    if (Math.abs(point.psnr - psnr) < 0.05 || !Number.isFinite(point.psnr)) break;
    aim *= errorOf(psnr, peak) / errorOf(point.psnr, peak);
  }
  if (best) return best;
  throw new RequestError({
    problem: `no mixture of bits reaches ${psnr} dB.`,
    details: Number.isFinite(highest) ? { 'the highest found': decibelText(highest) } : {},
    advice: Number.isFinite(highest)
      ? `Lower --target-psnr to ${Math.floor(highest)}, or keep the model as it is.`
      : 'Lower --target-psnr, or keep the model as it is.',
  });
}

/** Whether a mixture stores any weight in fewer bits. */
function changes({ bits }: Allocation): boolean {
  return [...bits.values()].some((each) => each !== UNTOUCHED);
}

/** Equal models are infinitely near; no others in float16 are nearer than this. */
const HIGHEST_PSNR = 150;

function refuseBeyondPsnr(psnr: number): void {
  if (psnr > 0 && psnr <= HIGHEST_PSNR) return;
  throw new RequestError({
    problem: `--target-psnr ${psnr} is none that a mixture of bits could have.`,
    advice: `Name one above 0 and up to ${HIGHEST_PSNR} dB, such as 35.`,
  });
}

function largerThanModel(bytes: number, size: number): RequestError {
  return new RequestError({
    problem: `the model has ${formatBytes(size)} as it is, no more than the ${formatBytes(bytes)} that are asked for.`,
    advice: 'Lower --target-size, or keep it as it is.',
  });
}

/** Writes mixtures of one model and runs them. */
class Mixer {
  readonly choices: readonly WeightChoices[];
  readonly #file: string;
  readonly #model: OpenOnnx;
  readonly #cases: readonly InputCase[];
  readonly #work: string;
  readonly #context: Context;
  /** The context without progress: can be interrupted, but reports no stage of its own. */
  readonly #quiet: Context;
  #expected: Promise<TensorMap[]> | undefined;

  constructor(
    file: string,
    model: OpenOnnx,
    analysis: Analysis,
    cases: readonly InputCase[],
    work: string,
    context: Context,
  ) {
    const sizes = new Map<number, ReadonlyMap<string, number>>();
    for (const bits of mixBits) {
      const { weights } = quantizeOnnx(model, () => ({ kind: 'palette', bits }));
      sizes.set(bits, new Map(weights.map(({ name, bytesAfter }) => [name, bytesAfter])));
    }
    this.choices = choicesOf(analysis, (name, bits) => sizes.get(bits)?.get(name));
    this.#model = model;
    this.#file = file;
    this.#cases = cases;
    this.#work = work;
    this.#context = context;
    this.#quiet = context.signal ? { signal: context.signal } : {};
  }

  /** Size of the model's files with these bits. */
  bytesOf({ bits }: Allocation): number {
    const { model } = quantizeOnnx(this.#model, planRecipe(bits));
    return plannedFiles(model).reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** The mixture with the least error in at most so many bytes. */
  bestWithin(bytes: number): Allocation | undefined {
    return bestWithin(this.choices, bytes, (allocation) => this.bytesOf(allocation));
  }

  smallest(): Allocation {
    return smallestWithin(this.choices, Number.POSITIVE_INFINITY);
  }

  /** Writes the model with these bits to a temporary folder, measures its PSNR, and removes it. */
  async measure(label: MeasuredPoint['bits'], bits: ReadonlyMap<string, number>): Promise<MeasuredPoint> {
    const { signal } = this.#context;
    this.#expected ??= outputsOf(this.#file, this.#cases, signal);
    const expected = await this.#expected;
    const output = join(this.#work, 'model');
    const { bytesAfter } = await this.write(bits, { output, force: true });
    const found = await outputsOf(output, this.#cases, signal);
    await removePath(output);
    return { bits: label, bytes: bytesAfter, psnr: psnrOfAll(expected, found) };
  }

  write(
    bits: ReadonlyMap<string, number>,
    { output, inPlace, force }: Partial<Pick<AnalyzeRequest, 'output' | 'inPlace' | 'force'>>,
  ): Promise<QuantizeResult> {
    const place = { output, inPlace, force };
    return quantizeArtifact({ artifact: this.#file, ...place, plan: planRecipe(bits) }, this.#quiet);
  }
}

async function draw(file: string, prompts: readonly string[], context: Context) {
  const unet = await openRunner(file, { optimize: true });
  try {
    const inputs = unet.inputs.map(({ name }) => name);
    if (inputs.join() !== 'sample,timestep,encoder_hidden_states') throw notDrawable(file, inputs);
    const output = await denoisingCases(unet, { folder: dirname(dirname(file)), prompts }, context);
    return { output, detail: `${output.length} inputs of ${prompts.length} runs` };
  } finally {
    await unet.close();
  }
}

/** Opens a `model.onnx` in its own folder. It holds no open file, so it need not be closed. */
async function openUnet(place: string): Promise<StoredArtifact> {
  const artifact = await openArtifact(place);
  if (artifact.format === 'onnx' && basename(artifact.path) === 'model.onnx') return artifact;
  throw new RequestError({
    problem: `${place} is not an ONNX UNet.`,
    details: { expected: 'a folder that holds model.onnx, such as out/onnx/unet' },
    advice:
      'Measure the ONNX model of the same checkpoint: its recipe also fits Core ML packages (quantize --recipe).',
  });
}

function notDrawable(file: string, inputs: readonly string[]): RequestError {
  return new RequestError({
    problem: `${file} has other inputs than a UNet of Stable Diffusion 1.x or 2.x, the only ones that can be measured yet.`,
    details: { expected: 'sample, timestep, encoder_hidden_states', found: inputs.join(', ') },
    advice: 'Quantise it with quantize --nbits, or with a recipe for the same weight names.',
  });
}

function withoutJson(path: string): string {
  return path.replace(/\.json$/, '');
}

function gain(dB: number): string {
  return `${dB < 0 ? '−' : '+'}${Math.abs(dB).toFixed(1)} dB`;
}
