import { type CutChunk, type CutModel, cutModel } from '../../../chunk/cut.ts';
import { ChunkBudgetError } from '../../../errors.ts';
import type { OnnxModel } from '../build-model.ts';
import type { ValueInfoProto } from '../proto.ts';
import { CuttableOnnx, type OnnxOperation } from '../split-onnx.ts';
import { ModelCosts } from './node-costs.ts';

/** A part of a model that is loaded, run and released before the next one is loaded. */
export interface Segment {
  /** Its weights are where those of the whole are; those still to be written are in its `dataFiles`. */
  readonly model: OnnxModel;
  /** Memory that running it takes at most, in bytes, beside the process itself. */
  readonly bytes: number;
  /** Products of elements that it adds up: half its floating-point operations. */
  readonly products: number;
  /** Values that it reads: inputs of the whole, and what earlier segments leave. */
  readonly reads: readonly string[];
  /** Bytes of each value that it leaves, for later segments or as an output of the whole. */
  readonly leaves: ReadonlyMap<string, number>;
}

/**
 * Cuts a model whose values have declared shapes (`executedModel`) into segments that take at most `maxBytes` of memory
 * each, weights and values together, or as little as they can where an operation alone takes more; one segment where that
 * is enough. Weights that are still to be written will be, a segment's at a time, in files at `location`.
 */
export function segmentsOf(model: OnnxModel, maxBytes: number, location: string): Segment[] {
  const source = new CostedOnnx(model, location);
  const whole = source.segment(wholeOf(source));
  if (whole.bytes <= maxBytes) return [whole];
  for (let limit = Math.max(maxBytes, source.largestOperation); limit < whole.bytes; limit *= GROWTH) {
    try {
      return cutModel(source, limit).map((chunk) => source.segment(chunk));
    } catch (error) {
      if (!(error instanceof ChunkBudgetError)) throw error;
    }
  }
  return [whole];
}

/** A model that is not cut and takes at most so many bytes. */
export function wholeSegment(model: OnnxModel, bytes: number, location: string): Segment {
  const source = new CuttableOnnx(model, { crossing: 'unchanged', location });
  const { inputs, outputs, values } = source;
  return {
    model: source.cut(wholeOf(source)),
    bytes,
    products: 0,
    reads: inputs,
    leaves: new Map(outputs.map((name) => [name, values.get(name)?.byteLength ?? 0])),
  };
}

function wholeOf({ operations, inputs, outputs }: CutModel<OnnxOperation>): CutChunk<OnnxOperation> {
  return { operations, inputs, entering: [], leaving: [], outputs };
}

/** The allocator keeps some of what it frees: blocks of less than 4 MB, which copies of small weights in float32 are. */
export const WITH_KEPT = 1.1;

/** Steps in which the limit is raised where nothing fits. */
const GROWTH = 1.05;

/** An ONNX model as operations with their memory. */
class CostedOnnx implements CutModel<OnnxOperation> {
  readonly operations: readonly OnnxOperation[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly values: CutModel<OnnxOperation>['values'];
  readonly #source: CuttableOnnx;
  readonly #costs: ModelCosts;

  constructor(model: OnnxModel, location: string) {
    this.#source = new CuttableOnnx(model, { crossing: 'unchanged', location });
    this.#costs = new ModelCosts(model.proto);
    this.inputs = this.#source.inputs;
    this.outputs = this.#source.outputs;
    this.operations = this.#source.operations.map((operation) => {
      const cost = operation.node && this.#costs.nodes.get(operation.node);
      const weightBytes = WITH_KEPT * (cost?.constantBytes ?? operation.weightBytes);
      return { ...operation, weightBytes, workBytes: cost?.workBytes };
    });
    // What has no known shape would have none declared on either side of a cut.
    const known = [...this.#source.values].filter(([name]) => this.#costs.shapeOf(name) !== undefined);
    this.values = new Map(known);
  }

  get largestOperation(): number {
    const sizes = this.operations.map(({ weightBytes, workBytes = 0 }) => weightBytes + workBytes);
    return sizes.reduce((most, each) => Math.max(most, each), 0);
  }

  segment(chunk: CutChunk<OnnxOperation>): Segment {
    const { operations, inputs, entering, leaving, outputs } = chunk;
    const costs = operations.flatMap(({ node }) => (node && this.#costs.nodes.get(node)) ?? []);
    const weights = operations.reduce((sum, { weightBytes }) => sum + weightBytes, 0);
    const work = costs.reduce((most, { workBytes }) => Math.max(most, workBytes), 0);
    const bytesOf = (name: string): number => this.values.get(name)?.byteLength ?? 0;
    const held = entering.reduce((sum, name) => sum + bytesOf(name), 0);
    return {
      model: withoutShapes(this.#source.cut(chunk)),
      bytes: weights + work + held,
      products: costs.reduce((sum, { products }) => sum + products, 0),
      reads: [...inputs, ...entering],
      leaves: new Map([...leaving, ...outputs].map((name) => [name, bytesOf(name)])),
    };
  }
}

/**
 * The same model, its shapes left to be found out as it runs. Where onnxruntime knows them beforehand, it keeps the memory of
 * a value for a later one of the same shape, and all in between has to fit beside it: 2.8 GB instead of 2.2 where a segment
 * has two attentions.
 */
function withoutShapes({ proto, dataFiles }: OnnxModel): OnnxModel {
  const { graph } = proto;
  const strip = ({ name, type }: ValueInfoProto): ValueInfoProto => ({
    name: name ?? '',
    type: { tensorType: { elemType: type?.tensorType?.elemType ?? null } },
  });
  const [input, output] = [graph?.input, graph?.output].map((infos) => (infos ?? []).map(strip));
  return {
    dataFiles,
    proto: { ...proto, graph: { ...graph, input: input ?? [], output: output ?? [], valueInfo: [] } },
  };
}
