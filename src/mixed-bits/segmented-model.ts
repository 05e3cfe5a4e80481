import { FileFormatError } from '../errors.ts';
import { encodeModel, type ModelProto } from '../formats/onnx/proto.ts';
import { openOnnxSession } from '../formats/onnx/run/onnx-session.ts';
import type { Runner, TensorMap } from '../formats/runner.ts';
import { chainOf } from '../run/chain.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { numbersOf } from '../weights/tensor-values.ts';
import { initializersOf, inputNameOf, withWeightAsInput } from './segments.ts';

/** A model in pieces that is loaded once and run with one weight changed, many times. */
export interface SegmentedModel {
  /** The largest |output| when nothing is changed. */
  readonly peak: number;
  /** Mean squared error of the outputs, over all cases, with a weight's elements replaced (each by its own data). */
  errorsOf(weight: WeightToChange, replacements: Iterable<Float32Array>): AsyncGenerator<number>;
  close(): Promise<void>;
}

/** A weight by its name in the model, and its shape. */
export interface WeightToChange {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Values of a case with the unchanged model. */
interface ReferenceRun {
  /** Values known before each piece: the inputs, and the outputs of earlier pieces. */
  readonly before: readonly TensorMap[];
  readonly outputs: TensorMap;
}

/**
 * Loads the pieces, and runs every case once for the reference of later changes. `feeds` are those of the whole model;
 * locations of weights are relative to `dataFolder`.
 */
export async function openSegmentedModel(
  pieces: readonly ModelProto[],
  place: { readonly path: string; readonly dataFolder: string },
  feeds: readonly TensorMap[],
): Promise<SegmentedModel> {
  const open = (proto: ModelProto): Promise<Runner> =>
    openOnnxSession({ ...place, bytes: encodeModel(proto) }, { optimize: true });
  const runners: Runner[] = [];
  const close = async () => {
    await Promise.all(runners.map((runner) => runner.close()));
  };
  try {
    for (const proto of pieces) runners.push(await open(proto));
    const references: ReferenceRun[] = [];
    for (const each of feeds) references.push(await referenceRun(runners, each));
    const peak = Math.max(...references.flatMap(({ outputs }) => [...outputs.values()].map(peakOf)));
    if (!(peak > 0 && peak < Number.POSITIVE_INFINITY)) throw immeasurable(place.path, peak);
    return {
      peak,
      async *errorsOf({ name, shape }, replacements) {
        const index = pieces.findIndex((proto) => initializersOf(proto).includes(name));
        const piece = pieces[index];
        if (!piece) throw new Error(`${name} is no weight of this model`);
        const changed = await open(withWeightAsInput(piece, name));
        const rest = chainOf([changed, ...runners.slice(index + 1)]);
        try {
          for (const data of replacements) {
            const given = { dtype: 'f32', shape, data } as const;
            let [squares, count] = [0, 0];
            for (const { before, outputs } of references) {
              const feeds = new Map([...(before[index] ?? []), [inputNameOf(name), given] as const]);
              const distance = squaredDistance(outputs, await rest.run(feeds));
              squares += distance.squares;
              count += distance.count;
            }
            yield squares / count;
          }
        } finally {
          await changed.close();
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function referenceRun(runners: readonly Runner[], feeds: TensorMap): Promise<ReferenceRun> {
  const values = new Map(feeds);
  const before: TensorMap[] = [];
  let outputs: TensorMap = new Map();
  for (const runner of runners) {
    before.push(new Map(values));
    outputs = await chainOf([runner]).run(values);
    for (const [name, tensor] of outputs) values.set(name, tensor);
  }
  return { before, outputs };
}

/** Nothing is lost of outputs that say nothing. */
function immeasurable(path: string, peak: number): FileFormatError {
  const gives = peak === 0 ? 'nothing but zeros' : 'numbers that are not finite';
  return new FileFormatError({
    problem: `${path} gives ${gives}, of which no loss can be measured.`,
    advice: 'It is damaged, or overflows in float16: convert it again, with --precision float32 if need be.',
  });
}

/** The largest |element|. */
export function peakOf(tensor: TensorData): number {
  let peak = 0;
  const numbers = numbersOf(tensor);
  for (let i = 0; i < numbers.length; i++) peak = Math.max(peak, Math.abs(numbers[i] ?? 0));
  return peak;
}

/** Sum of squared differences, and how many there are. */
export function squaredDistance(expected: TensorMap, found: TensorMap): { squares: number; count: number } {
  let [squares, count] = [0, 0];
  for (const [name, tensor] of expected) {
    const other = found.get(name);
    if (!other) throw new Error(`the changed model does not give ${name}`);
    const [a, b] = [numbersOf(tensor), numbersOf(other)];
    for (let i = 0; i < a.length; i++) squares += ((a[i] ?? 0) - (b[i] ?? 0)) ** 2;
    count += a.length;
  }
  return { squares, count };
}
