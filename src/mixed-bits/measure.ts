import { basename, dirname, join } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import type { InputCase } from '../convert/networks/realistic.ts';
import { FileFormatError } from '../errors.ts';
import type { OpenOnnx } from '../formats/onnx/read-onnx.ts';
import { excerpt } from '../io/error-text.ts';
import { hashFile } from '../io/hashing/hash-file.ts';
import { type FloatTensor, float16Codes } from '../quantize/float-tensor.ts';
import { Float16Histogram } from '../quantize/palette/histogram.ts';
import { optimalPalette, type PaletteBits, paletteIndices } from '../quantize/palette/palette.ts';
import { aboutTime } from '../text.ts';
import { byteSize, elementCount } from '../weights/dtype.ts';
import {
  type Analysis,
  type MeasuredOn,
  readAnalysis,
  type WeightAnalysis,
  writeAnalysis,
} from './analysis.ts';
import { openSegmentedModel, type SegmentedModel } from './segmented-model.ts';
import { segmentsOf } from './segments.ts';

/** Request of a measurement: a model, the weights in question, and the inputs. */
export interface MeasureRequest {
  /** The ONNX file. */
  readonly file: string;
  readonly model: OpenOnnx;
  readonly weights: readonly FloatTensor[];
  readonly cases: readonly InputCase[];
  readonly bits: readonly PaletteBits[];
  /** File of the measurements; existing ones are reused. */
  readonly analysis: string;
}

/** Into how many pieces the model is cut: what comes before a weight's piece is not run again. */
const PIECES = 8;

/**
 * Measures what each weight costs at each width, all others untouched. The analysis file is written after each weight, so
 * that the work can be broken off. Throws `InterruptedError`, what `readAnalysis` throws, and what running throws.
 */
export async function measure(request: MeasureRequest, context: Context): Promise<Analysis> {
  const { file, model, cases, bits, analysis: path } = request;
  const dataFolder = dirname(file);
  const segmented = await openSegmentedModel(
    segmentsOf(model, PIECES),
    { path: file, dataFolder },
    cases.map(({ tensors }) => tensors),
  );
  try {
    const measured: MeasuredOn = {
      model: await hashesOf(file, model, context.signal),
      inputs: cases.map(({ name }) => name),
      bits,
      peak: segmented.peak,
    };
    const known = (await readAnalysis(path, measured))?.weights ?? new Map<string, WeightAnalysis>();
    checkKnown(known, request);
    const weights = new Map<string, WeightAnalysis>();
    const left = request.weights.filter(({ name }) => !known.has(name)).length;
    const start = performance.now();
    let done = 0;
    for (const weight of request.weights) {
      throwIfInterrupted(context.signal);
      const what = `${weight.name}${timeLeft((performance.now() - start) / 1000, done, left)}`;
      context.onProgress?.({ type: 'progress', stage: 'analyze', what, done, total: left });
      weights.set(weight.name, known.get(weight.name) ?? (await measureWeight(weight, bits, segmented)));
      if (known.has(weight.name)) continue;
      await writeAnalysis(path, { measured, weights: new Map([...known, ...weights]) });
      done++;
    }
    return { measured, weights };
  } finally {
    await segmented.close();
  }
}

/** Throws `FileFormatError` for measurements of other weights, or at other bits, than those of this model: mixtures would be chosen by them. */
function checkKnown(
  known: ReadonlyMap<string, WeightAnalysis>,
  { weights, bits, analysis }: MeasureRequest,
): void {
  const own = new Map(weights.map((weight) => [weight.name, weight]));
  for (const [name, { elements, bytes, errors }] of known) {
    const weight = own.get(name);
    const size =
      weight && `${elementCount(weight.shape)} elements of ${byteSize(weight.shape, weight.dtype)} bytes`;
    const found = `${elements} elements of ${bytes} bytes`;
    const isMeasured = errors.size === bits.length && bits.every((each) => errors.has(each));
    if (size === found && isMeasured) continue;
    throw new FileFormatError({
      problem: `${analysis} was changed since it was measured: what it says of the weight ${excerpt(name)} is of another.`,
      details: {
        expected: size === undefined ? 'a weight of the model' : `${size}, at ${bits.join(', ')} bits`,
        found: `${found}, at ${[...errors.keys()].join(', ') || 'no'} bits`,
      },
      advice: 'Name another file, or remove this one: it is measured again.',
    });
  }
}

/** `, about 12 minutes left`, by the time of the weights so far; empty before the first. */
function timeLeft(seconds: number, done: number, total: number): string {
  if (done === 0) return '';
  return `, about ${aboutTime((seconds / done) * (total - done))} left`;
}

async function measureWeight(
  weight: FloatTensor,
  bits: readonly PaletteBits[],
  model: SegmentedModel,
): Promise<WeightAnalysis> {
  const codes = new Uint16Array(elementCount(weight.shape));
  let filled = 0;
  const histogram = new Float16Histogram();
  for await (const block of float16Codes(weight)) {
    codes.set(block, filled);
    filled += block.length;
    histogram.add(block);
  }
  function* palettized(): Generator<Float32Array> {
    for (const each of bits) {
      const palette = optimalPalette(histogram.distinct(), each);
      const indices = paletteIndices(palette);
      yield Float32Array.from(codes, (code) => palette.entries[indices[code] ?? 0] ?? 0);
    }
  }
  const errors = new Map<number, number>();
  let at = 0;
  for await (const error of model.errorsOf(weight, palettized())) errors.set(bits[at++] ?? 0, error);
  return { elements: codes.length, bytes: byteSize(weight.shape, weight.dtype), errors };
}

async function hashesOf(
  file: string,
  { dataFiles }: OpenOnnx,
  signal: AbortSignal | undefined,
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const name of [basename(file), ...dataFiles.map(({ location }) => location)])
    hashes[name] = await hashFile(join(dirname(file), name), signal);
  return hashes;
}
