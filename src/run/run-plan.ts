import { join } from 'node:path';
import { declaredShapes, mostBytes } from '../formats/onnx/edges/declared-sizes.ts';
import { bordersOf } from '../formats/onnx/edges/onnx-borders.ts';
import type { DataFile } from '../formats/onnx/external-data.ts';
import { executedModel, type InputShapes } from '../formats/onnx/run/executed-model.ts';
import { type Segment, segmentsOf, wholeSegment } from '../formats/onnx/run/segments.ts';
import type { DeclaredDim, Runnable, TensorMap, ValueInfo } from '../formats/runner.ts';
import { pathFrom } from '../io/path-from.ts';
import type { Scratch } from '../io/stages/scratch.ts';
import { pickRows } from '../weights/tensor-data.ts';
import type { RunnableChain } from './chain.ts';

/** How a model is run in a limited memory: part after part, each loaded once for all inputs and released. */
export interface RunPlan {
  readonly chain: RunnableChain;
  readonly parts: readonly Part[];
  /** What is fed: a case of inputs each, or a row of one. */
  readonly passes: readonly TensorMap[];
  /** Number of passes that a case of inputs takes, a row each; 1 where its rows are computed together. */
  readonly rows: number;
  /** Memory that it takes at its peak, in bytes, the process included; a limit of about so much is kept to. */
  readonly bytes: number;
  /** Room on the disk for the weights of a part that are in no file yet, and for values that wait. */
  readonly temporaryBytes: number;
  /** Products of elements that all passes add up. */
  readonly products: number;
}

/** A segment of one of a chain's models. */
export interface Part {
  readonly segment: Segment;
  readonly runnable: Runnable;
  /** Index of its model in the chain. */
  readonly index: number;
  /** Whether it is its model's last. */
  readonly isLast: boolean;
  /** Whether its model is the chain's last. */
  readonly isChainsLast: boolean;
  /** What it reads, by its own names: names among the values of a pass. */
  readonly reads: ReadonlyMap<string, string>;
  /** What it leaves, in the same way. */
  readonly leaves: ReadonlyMap<string, string>;
  /** The values, by their names in a pass, that no later part reads. */
  readonly readsLast: ReadonlySet<string>;
}

/** Bytes of the two processes themselves: Node, onnxruntime and the graphs (200 MB where the models are UNets, and 90). */
const PROCESS_BYTES = 300e6;

/** Memory at its peak, in whole bytes, where the largest part takes so much. */
export function peakBytes(largestPart: number): number {
  return Math.ceil(PROCESS_BYTES + largestPart);
}

/** Share of the limit that is left to what the C library keeps of what was freed, and to graphs that are larger. */
const KEPT_SHARE = 1 / 16;

/**
 * Plans to run a chain of models on cases of inputs of the same shapes in at most `maxBytes` of memory, the process included.
 * Where an operation alone takes more, a case is computed row by row, if the model takes any number of rows; also where that takes
 * half as many parts. What is still larger is as small as it can be: compare `bytes`. Throws as `executedModel` does.
 */
export async function planRun(
  chain: RunnableChain,
  cases: readonly TensorMap[],
  maxBytes: number,
  scratch: Scratch,
  signal?: AbortSignal,
): Promise<RunPlan> {
  const asking = { folder: scratch.path, signal };
  const whole = await planPasses(chain, cases, 1, maxBytes, asking);
  const rows = rowsOf(chain, cases);
  // A row takes at least a part of each model.
  const isFine = whole.bytes <= maxBytes && whole.parts.length < 2 * chain.models.length;
  if (isFine || rows < 2) return whole;
  const split = cases.flatMap((each) => Array.from({ length: rows }, (_, row) => rowOf(chain, each, row)));
  const byRow = await planPasses(chain, split, rows, maxBytes, asking);
  if (whole.bytes > maxBytes) return byRow.bytes < whole.bytes ? byRow : whole;
  return byRow.bytes <= maxBytes && 2 * byRow.parts.length <= whole.parts.length ? byRow : whole;
}

/** How onnxruntime is asked what it will compute. */
interface Asking {
  /** For temporary files. */
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
}

async function planPasses(
  chain: RunnableChain,
  passes: readonly TensorMap[],
  rows: number,
  maxBytes: number,
  asking: Asking,
): Promise<RunPlan> {
  const [first] = passes;
  const shapes = new Map([...(first ?? [])].map(([name, { shape }]) => [name, shape]));
  const parts = await planParts(chain, shapes, maxBytes * (1 - KEPT_SHARE) - PROCESS_BYTES, asking);
  const segments = parts.map(({ segment }) => segment);
  const weights = Math.max(...segments.map(({ model }) => bytesOf(model.dataFiles)));
  const peak = peakBytes(Math.max(...segments.map(({ bytes }) => bytes)));
  return {
    chain,
    parts,
    passes,
    rows,
    // What does not fit fits into the limit of which this part is left to it.
    bytes: parts.length > 1 ? Math.ceil(peak / (1 - KEPT_SHARE)) : peak,
    temporaryBytes: weights + passes.length * mostWaiting(parts),
    products: passes.length * segments.reduce((sum, { products }) => sum + products, 0),
  };
}

async function planParts(
  { models }: RunnableChain,
  given: InputShapes,
  maxBytes: number,
  asking: Asking,
): Promise<Part[]> {
  const { folder } = asking;
  const shapes = new Map(given);
  const parts: Omit<Part, 'readsLast'>[] = [];
  for (const [index, runnable] of models.entries()) {
    const { dataFolder = folder } = runnable;
    const location = pathFrom(dataFolder, join(folder, 'weights'));
    const { segments, outputs } = await segmentModel(runnable, shapes, { ...asking, maxBytes, location });
    // Models may use a name for different values inside.
    const inputs = new Set(runnable.inputs.map(({ name }) => name));
    const inPass = (name: string): string => (inputs.has(name) ? name : `${index}/${name}`);
    const byOwnName = (names: Iterable<string>) => new Map([...names].map((name) => [name, inPass(name)]));
    const isChainsLast = index === models.length - 1;
    for (const [at, segment] of segments.entries()) {
      const [reads, leaves] = [byOwnName(segment.reads), byOwnName(segment.leaves.keys())];
      parts.push({
        segment,
        runnable,
        index,
        isLast: at === segments.length - 1,
        isChainsLast,
        reads,
        leaves,
      });
    }
    for (const [name, shape] of outputs) shapes.set(name, shape);
  }
  return withLastReads(parts);
}

/** The segments of a model, and the shapes of its outputs as far as they are known. */
async function segmentModel(
  runnable: Runnable,
  shapes: InputShapes,
  { maxBytes, location, ...asking }: Asking & { readonly maxBytes: number; readonly location: string },
): Promise<{ readonly segments: readonly Segment[]; readonly outputs: InputShapes }> {
  const { path, model, isTranslation } = runnable;
  const declared = declaredShapes(runnable, shapes);
  const most = mostBytes(model, declared);
  // What fits even if nothing is released need not be looked into.
  if (most <= maxBytes) return { segments: [wholeSegment(model, most, location)], outputs: declared };
  const executed = await executedModel(model, shapes, { ...asking, path, isTranslation });
  const fixed = bordersOf(executed.proto, path).outputs.flatMap(
    ({ name, dims }): [string, readonly number[]][] =>
      dims.every((size) => typeof size === 'number') ? [[name, dims]] : [],
  );
  return { segments: segmentsOf(executed, maxBytes, location), outputs: new Map(fixed) };
}

function withLastReads(parts: readonly Omit<Part, 'readsLast'>[]): Part[] {
  // A model's outputs are taken when its last part has run.
  const later = new Set(
    parts.flatMap(({ runnable, index }) => runnable.outputs.map(({ name }) => `${index}/${name}`)),
  );
  return parts
    .toReversed()
    .map((part) => {
      const names = [...part.reads.values()];
      const readsLast = new Set(names.filter((name) => !later.has(name)));
      for (const name of names) later.add(name);
      return { ...part, readsLast };
    })
    .toReversed();
}

function bytesOf(files: readonly DataFile[]): number {
  return files.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** The most bytes of values that wait in a pass after any part. */
function mostWaiting(parts: readonly Part[]): number {
  const alive = new Map<string, number>();
  let most = 0;
  for (const { segment, leaves, readsLast } of parts) {
    for (const [name, inPass] of leaves) alive.set(inPass, segment.leaves.get(name) ?? 0);
    for (const name of readsLast) alive.delete(name);
    most = Math.max(
      most,
      [...alive.values()].reduce((sum, bytes) => sum + bytes, 0),
    );
  }
  return most;
}

/** The rows that each case has, where a chain takes any number of them: 1 where they cannot be told apart. */
function rowsOf({ inputs, outputs }: RunnableChain, [first]: readonly TensorMap[]): number {
  const name = batchOf(inputs);
  if (name === undefined) return 1;
  const isBatch = (dim: DeclaredDim): boolean => typeof dim === 'string' && dim.split(/\W+/).includes(name);
  const isFree = [...inputs, ...outputs].every(({ dims }) => dims.slice(1).every((dim) => !isBatch(dim)));
  if (!isFree || outputs.some(({ dims }) => dims[0] !== name)) return 1;
  const [input] = inputs.filter(({ dims }) => dims[0] === name);
  return first?.get(input?.name ?? '')?.shape[0] ?? 1;
}

/** The name of the size of the batch: the first free size that is an input's first. */
function batchOf(inputs: readonly ValueInfo[]): string | undefined {
  const free = inputs.map(({ dims }) => dims[0]).find((dim) => typeof dim === 'string' && dim !== '');
  return free === undefined ? undefined : String(free);
}

/** A row of a case; what has no rows goes to all. */
function rowOf({ inputs }: RunnableChain, feeds: TensorMap, row: number): TensorMap {
  const batch = batchOf(inputs);
  const hasRows = new Set(inputs.filter(({ dims }) => dims[0] === batch).map(({ name }) => name));
  return new Map(
    [...feeds].map(([name, tensor]) => [name, hasRows.has(name) ? pickRows(tensor, [row]) : tensor]),
  );
}
