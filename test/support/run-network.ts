import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import type { AttentionImplementation } from '../../src/convert/blocks/attention.ts';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import type { Contract, Sizes } from '../../src/convert/contracts/contract.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import type { NetworkName } from '../../src/convert/networks/networks.ts';
import { assetContents } from '../../src/formats/coreai/asset.ts';
import { coreAiContract } from '../../src/formats/coreai/contract/coreai-contract.ts';
import { buildProgram } from '../../src/formats/coreai/lower/build-program.ts';
import { buildCoreMl } from '../../src/formats/coreml/build/build-model.ts';
import { writePackage } from '../../src/formats/coreml/package/package.ts';
import type { TargetName } from '../../src/formats/format.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import type { Runner } from '../../src/formats/runner.ts';
import { writeFiles } from '../../src/formats/write-files.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { openRunner } from '../../src/run/open-runner.ts';

/** Which network, and how it is to be written. */
export interface NetworkRequest {
  readonly model: NetworkName;
  readonly format: TargetName;
  readonly precision: Precision;
  readonly attention?: AttentionImplementation;
  readonly sizes?: Sizes;
  /** Instead of the format's own. */
  readonly contract?: Contract;
  /** Makes another graph of it before it is written: a wrong one. */
  readonly change?: (graph: Graph) => Graph;
}

/** Converts one network of a checkpoint, writes it as a consumer would find it in `folder`, and opens what was written. The caller closes it. */
export async function writtenNetwork(
  checkpoint: Checkpoint,
  {
    model,
    format,
    precision,
    attention = 'ORIGINAL',
    sizes = {},
    contract = formats[format].contract,
    change = (graph) => graph,
  }: NetworkRequest,
  folder: string,
): Promise<Runner> {
  const [converted] = convert(checkpoint, { contract, attention, sizes, models: [model] });
  if (!converted) throw new Error('nothing was converted');
  return writtenGraph(change(converted.graph), { format, precision }, folder);
}

/** Writes a graph in a format and precision, and opens what was written. The caller closes it. */
export async function writtenGraph(
  graph: Graph,
  { format, precision }: Pick<NetworkRequest, 'format' | 'precision'>,
  folder: string,
): Promise<Runner> {
  const path = `${folder}${formats[format].ending}`;
  await formats[format].write(withPrecision(graph, precision), path);
  // What a package declares float16, Core ML computes in float16.
  return openRunner(path, { optimize: false, roundToFloat16: precision === 'float16' });
}

const description = {
  shortDescription: '',
  author: '',
  license: '',
  version: '',
  features: {},
  userDefined: {},
};

const formats = {
  onnx: {
    contract: optimumContract,
    ending: '',
    write: (graph: Graph, path: string) => writeOnnx(buildOnnxModel(graph, {}), path, () => {}),
  },
  coreml: {
    contract: appleContract,
    ending: '.mlpackage',
    async write(graph: Graph, path: string) {
      await writePackage(path, buildCoreMl(graph, { target: 'macOS13', description }), () => {});
    },
  },
  coreai: {
    contract: coreAiContract,
    ending: '.aimodel',
    async write(graph: Graph, path: string) {
      await writeFiles(path, assetContents({ program: buildProgram(graph), metadata: {} }), () => {});
    },
  },
};
