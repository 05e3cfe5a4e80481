import { afterAll, beforeAll } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { composeCheckpoint } from '../../src/checkpoint/compose-checkpoint.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { openComponent } from '../../src/checkpoint/open-component.ts';
import type { AttentionImplementation } from '../../src/convert/blocks/attention.ts';
import type { Sizes } from '../../src/convert/contracts/contract.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import type { NetworkName } from '../../src/convert/networks/networks.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import type { Graph } from '../../src/graph/graph.ts';
import type { Op } from '../../src/graph/op.ts';
import { copyInto, rewrite } from '../../src/graph/rewrite.ts';
import { feedsFor } from '../../src/run/feeds.ts';
import { psnr } from '../../src/validate/psnr.ts';
import { expectedOf, feedsOf, type Golden, readGoldens, recordedOutputs } from './goldens.ts';
import { type NetworkRequest, writtenNetwork } from './run-network.ts';
import { loadOnnx } from './run-onnx.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** A checkpoint, and what diffusers gave for its networks. */
export interface Recorded {
  readonly path: string;
  /** A ControlNet beside it: a component's folder. */
  readonly controlnet?: string;
  /** A refiner beside it: a checkpoint's folder. */
  readonly refiner?: string;
  readonly goldens: string;
  /** Which recording counts: with the weights as they are, or rounded to float16. */
  readonly rounding: '' | '_w16';
}

/** The checkpoints that are here, all stored in float16 (test/goldens/README.md). */
export const recorded = {
  /** Random weights; 32 groups over 64 channels and more, where GroupNorm hides nothing. */
  'sd15-wide': { path: 'test/fixtures/sd15-wide-f16', goldens: 'test/goldens/sd15-wide', rounding: '' },
  /** Random weights; linear projections, other heads on each level, the exact GELU in the text encoder. */
  sd21: { path: 'test/fixtures/sd21', goldens: 'test/goldens/sd21', rounding: '' },
  /** Random weights; two text encoders, sizes beside the text, other depths on each level. */
  sdxl: { path: 'test/fixtures/sdxl', goldens: 'test/goldens/sdxl', rounding: '' },
  /** Trained weights. */
  'sd-shapes': { path: 'models/sd-shapes', goldens: 'test/goldens/sd-shapes', rounding: '' },
} as const satisfies Record<string, Recorded>;

/** One test file's use of recorded networks. Call at the top level. */
export function recordedNetworks<Name extends string>(table: Readonly<Record<Name, Recorded>>) {
  const inFolder = temporaryFolder();
  const opened = new Map<Name, Checkpoint>();
  let runs = 0;

  beforeAll(async () => {
    // as: Object.keys forgets which keys there are.
    for (const name of Object.keys(table) as Name[]) opened.set(name, await open(table[name]));
  });
  afterAll(async () => {
    for (const checkpoint of opened.values()) await checkpoint.close();
  });

  return {
    checkpoint(name: Name): Checkpoint {
      const checkpoint = opened.get(name);
      if (!checkpoint) throw new Error(`${name} is not open`);
      return checkpoint;
    },

    /** A network under optimum's contract. */
    graph(
      name: Name,
      model: NetworkName,
      attention: AttentionImplementation = 'ORIGINAL',
      sizes: Sizes = {},
    ): Graph {
      const options = { contract: optimumContract, attention, sizes, models: [model] };
      const [converted] = convert(this.checkpoint(name), options);
      if (!converted) throw new Error('nothing was converted');
      return converted.graph;
    },

    /**
     * The PSNR in dB of the output that is furthest from what diffusers gave, over all recorded calls. onnxruntime runs
     * the graph as it is written, so that our own operations are compared and not what they could be fused to.
     */
    async agreement(
      name: Name,
      model: NetworkName,
      graph: Graph,
      rounding = table[name].rounding,
    ): Promise<number> {
      const goldens = await goldensOf(name, model);
      const folder = inFolder(String(runs++));
      await writeOnnx(buildOnnxModel(graph, {}), folder, () => {});
      const loaded = await loadOnnx(folder, 'disabled');
      try {
        const found: number[] = [];
        for (const golden of goldens) {
          const outputs = await loaded.run(feedsOf(golden, loaded.inputs));
          for (const output of recordedOutputs(loaded.outputs)) {
            const { data } = outputs[output] ?? {};
            if (!(data instanceof Float32Array)) throw new Error(`${output} is not float32`);
            found.push(psnr(expectedOf(golden, output, rounding), data));
          }
        }
        return Math.min(...found);
      } finally {
        await loaded.close();
      }
    },

    /** The same of Core ML packages, one for each size that was recorded, computed as they declare (`run-network.ts`). */
    async coreMlAgreement(
      name: Name,
      model: NetworkName,
      options: Pick<NetworkRequest, 'attention' | 'precision'>,
      rounding = table[name].rounding,
    ): Promise<number> {
      const found: number[] = [];
      for (const golden of await goldensOf(name, model)) {
        const request = { model, format: 'coreml', sizes: sizesOf(golden), ...options } as const;
        const runner = await writtenNetwork(this.checkpoint(name), request, inFolder(String(runs++)));
        try {
          const outputs = await runner.run(feedsFor(runner, new Map(Object.entries(golden.tensors))));
          for (const [output, { data }] of outputs) {
            if (!(data instanceof Float32Array)) throw new Error(`${output} is not float32`);
            found.push(psnr(expectedOf(golden, output, rounding), data));
          }
        } finally {
          await runner.close();
        }
      }
      return Math.min(...found);
    },
  };

  async function goldensOf(name: Name, model: NetworkName): Promise<Golden[]> {
    const goldens = await readGoldens(table[name].goldens, model === 'refiner' ? 'unet' : model);
    if (goldens.length === 0) throw new Error(`nothing is recorded of ${name}'s ${model}`);
    return goldens;
  }
}

/** The sizes that a golden was recorded in. */
function sizesOf({ tensors }: Golden): Sizes {
  const latents = tensors.sample ?? tensors.z ?? tensors.latent ?? tensors.latent_w16;
  const [unetBatch, , latentHeight, latentWidth] = latents?.shape ?? [];
  const textTokens = tensors.encoder_hidden_states_diffusers?.shape[1];
  if (unetBatch === undefined || latentHeight === undefined || latentWidth === undefined) return {};
  const sizes = { unetBatch, latentHeight, latentWidth };
  return textTokens === undefined ? sizes : { ...sizes, textTokens };
}

async function open({ path, controlnet, refiner }: Recorded): Promise<Checkpoint> {
  return composeCheckpoint(await openCheckpoint(path), {
    refiner: refiner === undefined ? undefined : await openCheckpoint(refiner),
    controlnets: controlnet === undefined ? [] : [await openComponent(controlnet, { as: 'controlnet' })],
  });
}

/** The graph with some operations replaced: a wrong model. Throws where nothing is replaced. */
export function mutant(graph: Graph, change: (op: Op) => Op): Graph {
  let changes = 0;
  const changed = rewrite(graph, (builder, tensor, inputs) => {
    const op = change(tensor.op);
    if (op !== tensor.op) changes++;
    return copyInto(builder, { ...tensor, op }, inputs);
  });
  if (changes === 0) throw new Error('the mutant is the graph itself');
  return changed;
}
