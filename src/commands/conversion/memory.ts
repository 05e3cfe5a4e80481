import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { AttentionImplementation } from '../../convert/blocks/attention.ts';
import { appleContract } from '../../convert/contracts/apple.ts';
import type { Sizes } from '../../convert/contracts/contract.ts';
import { convert } from '../../convert/convert.ts';
import type { NetworkName } from '../../convert/networks/networks.ts';
import { type PlannedArtifact, totalBytes } from '../../formats/artifact.ts';
import type { TargetName } from '../../formats/format.ts';
import { WITH_KEPT } from '../../formats/onnx/run/segments.ts';
import { targets } from '../../formats/targets.ts';
import type { Graph } from '../../graph/graph.ts';
import { peakElements } from '../../graph/peak-elements.ts';
import { peakBytes } from '../../run/run-plan.ts';
import { formatBytes } from '../../text.ts';
import { DEFAULT_MAX_BYTES } from '../../validate/bounded-runs.ts';
import { elementCount } from '../../weights/dtype.ts';

/** Estimated peak memory of a conversion, in bytes. */
export interface MemoryNeed {
  readonly conversion: number;
  /** The check against the float32 reference, for the network that needs most; left out if nothing is checked. */
  readonly check?: CheckNeed | undefined;
}

/** The peak of the whole, in bytes: a check runs after the conversion. */
export function mostMemory({ conversion, check }: MemoryNeed): number {
  return Math.max(conversion, check?.bytes ?? 0);
}

/** Memory needed by the check of a network. */
export interface CheckNeed {
  readonly network: NetworkName;
  readonly bytes: number;
}

// Measured on Linux x64 with Node 24.21 and the flags of cli/memory.ts, as resident memory at the peak, which is what
// `/usr/bin/time -v` calls the maximum resident set size.

/**
 * Base of the process and of streaming: blocks of 1 MiB, the hashing thread, the compiler. Conversions of models/sd-shapes
 * and of full-size Stable Diffusion 1.5 took 173 to 188 MB, including the graphs and the largest model.
 */
const PROCESS_BYTES = 170e6;

/** Per tensor of a graph, with its copy in another precision: 630 to 780 bytes in graphs of 4,500 to 40,000 tensors. */
const GRAPH_BYTES = 700;

/** Per tensor of a Core ML model: 1,630 to 1,670 bytes, plus 360 of the protobuf message; in ONNX it takes 1,240. */
const MODEL_BYTES = 2000;

/**
 * Estimates the memory for writing, in bytes: all graphs, and one model at a time in its target's form; weights stream.
 * `tensors`: number of tensors in each graph. Full-size Stable Diffusion XL, both targets, took 235 MB; the estimate is 229.
 */
export function conversionMemory(tensors: readonly number[]): number {
  const all = tensors.reduce((sum, count) => sum + count, 0);
  return PROCESS_BYTES + GRAPH_BYTES * all + MODEL_BYTES * Math.max(0, ...tensors);
}

/** A network to check, in one target's form. */
export interface CheckedModel {
  readonly network: NetworkName;
  readonly target: TargetName;
  readonly attention: AttentionImplementation;
  readonly artifacts: readonly PlannedArtifact[];
}

/**
 * Estimates the memory for checking the artifacts against the float32 reference, for the network that needs most. The two are
 * run one after the other, in parts where they would need more than `maxBytes` whole, and row by row where an operation
 * alone would; what is larger even then is run in what it needs.
 */
export function checkMemory(
  checkpoint: Checkpoint,
  models: readonly CheckedModel[],
  sizes: Sizes,
  maxBytes = DEFAULT_MAX_BYTES,
): CheckNeed | undefined {
  const graphs = new Map<string, GraphNeed>();
  const needOf = ({ network, target, attention }: Omit<CheckedModel, 'artifacts'>): GraphNeed => {
    const key = `${network} ${attention} ${targets[target].arranged ? target : ''}`;
    const need = graphs.get(key) ?? graphNeed(checkpoint, { network, target, attention }, sizes);
    graphs.set(key, need);
    return need;
  };
  const needs = models.map(({ network, target, attention, artifacts }): CheckNeed => {
    const reference = needOf({ network, target, attention: 'ORIGINAL' });
    const written = artifacts.reduce((sum, { files }) => sum + totalBytes(files), 0);
    const own = needOf({ network, target, attention });
    // Weights are mapped as they are stored, and copied to float32.
    const artifact = { ...own, weights: written + own.weights, rows: target === 'onnx' ? own.rows : 1 };
    const bytes = Math.max(...[reference, artifact].map((need) => boundedBytes(need, maxBytes)));
    return { network, bytes };
  });
  return needs.toSorted((a, b) => b.bytes - a.bytes)[0];
}

/** Memory of a run that keeps to a limit if it can. */
function boundedBytes({ weights, computed, rows }: GraphNeed, maxBytes: number): number {
  const whole = peakBytes(WITH_KEPT * weights + computed);
  if (whole <= maxBytes) return whole;
  const inParts = peakBytes(computed);
  return Math.max(maxBytes, inParts <= maxBytes ? inParts : peakBytes(computed / rows));
}

/** Warns that a check will not fit in the free memory; `undefined` if it fits. */
export function memoryNote({ check }: MemoryNeed, free: number): string | undefined {
  if (!check || check.bytes <= free) return undefined;
  return `the check of ${check.network} needs about ${formatBytes(check.bytes)} of memory, but ${formatBytes(free)} are free: the system may kill it. The results are complete by then; validate can check them on another machine.`;
}

/** Float32 bytes of a graph's weights, and of its activations at the peak. */
interface GraphNeed {
  readonly weights: number;
  readonly computed: number;
  /** Rows of the batch that it is checked with. */
  readonly rows: number;
}

/** Memory of a network at the sizes at which it is checked: the requested ones, or else those of its config. */
function graphNeed(
  checkpoint: Checkpoint,
  { network, target, attention }: Omit<CheckedModel, 'artifacts'>,
  asked: Sizes,
): GraphNeed {
  const sizes = targets[target].sizes(asked);
  const arranged = targets[target].arranged?.(checkpoint, network, { attention, sizes });
  // Apple's contract has fixed sizes; inside, the networks are the same.
  const options = { models: [network], contract: appleContract, attention, sizes };
  const model = arranged ?? convert(checkpoint, options)[0];
  if (!model) return { weights: 0, computed: 0, rows: 1 };
  const { graph } = model;
  const [rows] = graph.inputs.find(({ shape }) => shape.length > 1)?.shape ?? [];
  return {
    weights: 4 * weightElements(graph),
    computed: 4 * peakElements(graph),
    rows: typeof rows === 'number' ? rows : 1,
  };
}

function weightElements({ tensors }: Graph): number {
  return tensors.reduce((sum, { op }) => sum + (op.kind === 'weight' ? elementCount(op.weight.shape) : 0), 0);
}
