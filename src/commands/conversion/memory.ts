import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { AttentionImplementation } from '../../convert/blocks/attention.ts';
import { appleContract } from '../../convert/contracts/apple.ts';
import type { Sizes } from '../../convert/contracts/contract.ts';
import { convert } from '../../convert/convert.ts';
import type { NetworkName } from '../../convert/networks/networks.ts';
import { type PlannedArtifact, totalBytes } from '../../formats/artifact.ts';
import type { Graph } from '../../graph/graph.ts';
import { peakElements } from '../../graph/peak-elements.ts';
import { formatBytes } from '../../text.ts';
import { elementCount } from '../../weights/dtype.ts';

/** How much memory a conversion takes at its peak, about, in bytes. */
export interface MemoryNeed {
  readonly conversion: number;
  /** The check against the float32 reference, of the network that takes most; left out where nothing is checked. */
  readonly check?: CheckNeed | undefined;
}

/** What the check of a network takes. */
export interface CheckNeed {
  readonly network: NetworkName;
  readonly bytes: number;
}

// Measured on Linux x64 with Node 24.21 and the flags of cli/memory.ts, as resident memory at the peak, which is what
// `/usr/bin/time -v` calls the maximum resident set size.

/**
 * The process, and what streams: blocks of 1 MiB, the thread that hashes, the compiler. Conversions of models/sd-shapes
 * and of Stable Diffusion 1.5 of full size took 173 to 188 MB, the graphs and the largest model in them.
 */
const PROCESS_BYTES = 170e6;

/** A tensor of a graph, and of its copy in another precision: 630 to 780 bytes in graphs of 4,500 to 40,000 tensors. */
const GRAPH_BYTES = 700;

/** What a tensor becomes in Core ML's form: 1,630 to 1,670 bytes, and 360 of the message; ONNX's takes 1,240. */
const MODEL_BYTES = 2000;

/**
 * What writing takes: all graphs and one model in a target's form at a time, `tensors` in each graph; the weights stream.
 * Stable Diffusion XL of full size took 235 MB, both targets, where this says 229.
 */
export function conversionMemory(tensors: readonly number[]): number {
  const all = tensors.reduce((sum, count) => sum + count, 0);
  return PROCESS_BYTES + GRAPH_BYTES * all + MODEL_BYTES * Math.max(0, ...tensors);
}

/** A network that is checked in one target's form. */
export interface CheckedModel {
  readonly network: NetworkName;
  readonly attention: AttentionImplementation;
  readonly artifacts: readonly PlannedArtifact[];
}

/**
 * What running the artifacts beside the float32 reference takes, of the network that takes most. onnxruntime has both
 * loaded: their weights (those of the reference in float32), and for each the memory in which it computed, in float32,
 * which it keeps. Measured with Stable Diffusion 1.5 of full size (float16, ONNX): VAE decoder 1.79 GB, where this says
 * 2.08; UNet 7.07 GB, where this says 7.6.
 */
export function checkMemory(
  checkpoint: Checkpoint,
  models: readonly CheckedModel[],
  sizes: Sizes,
): CheckNeed | undefined {
  const graphs = new Map<string, GraphNeed>();
  const needOf = (network: NetworkName, attention: AttentionImplementation): GraphNeed => {
    const key = `${network} ${attention}`;
    const need = graphs.get(key) ?? graphNeed(checkpoint, network, attention, sizes);
    graphs.set(key, need);
    return need;
  };
  const needs = models.map(({ network, attention, artifacts }): CheckNeed => {
    const reference = needOf(network, 'ORIGINAL');
    const written = artifacts.reduce((sum, { files }) => sum + totalBytes(files), 0);
    const computed = reference.computed + needOf(network, attention).computed;
    return { network, bytes: PROCESS_BYTES + reference.weights + written + computed };
  });
  return needs.toSorted((a, b) => b.bytes - a.bytes)[0];
}

/** Says that a check will not fit into the memory that is free; `undefined` where it will. */
export function memoryNote({ check }: MemoryNeed, free: number): string | undefined {
  if (!check || check.bytes <= free) return undefined;
  return `the check of ${check.network} takes about ${formatBytes(check.bytes)} of memory, and ${formatBytes(free)} are free: the system may end it. The results are complete before it; validate can check them on another machine.`;
}

/** Float32 bytes of a graph's weights, and of what exists at once while it is computed. */
interface GraphNeed {
  readonly weights: number;
  readonly computed: number;
}

/** Of a network at the sizes at which it is checked: those that are asked for, else those of its config. */
function graphNeed(
  checkpoint: Checkpoint,
  network: NetworkName,
  attention: AttentionImplementation,
  sizes: Sizes,
): GraphNeed {
  // Apple's borders are of fixed size; within, the networks are the same.
  const [model] = convert(checkpoint, { models: [network], contract: appleContract, attention, sizes });
  return model ? { weights: 4 * weightElements(model.graph), computed: 4 * peakElements(model.graph) } : NONE;
}

const NONE: GraphNeed = { weights: 0, computed: 0 };

function weightElements({ tensors }: Graph): number {
  return tensors.reduce((sum, { op }) => sum + (op.kind === 'weight' ? elementCount(op.weight.shape) : 0), 0);
}
