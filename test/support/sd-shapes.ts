import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import type { NetworkName } from '../../src/convert/networks/networks.ts';
import { buildOnnxModel, type OnnxModel } from '../../src/formats/onnx/build-model.ts';
import { splitOnnx } from '../../src/formats/onnx/split-onnx.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import { copyFile } from '../../src/io/disk.ts';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import type { Weight } from '../../src/weights/weight.ts';

/** The trained checkpoint of the repository. */
export const sdShapes = fileURLToPath(new URL('../../models/sd-shapes', import.meta.url));

/** What diffusers computed from it, in float32 on its float16 weights. */
export function golden(name: string): string {
  return fileURLToPath(new URL(`../goldens/sd-shapes/${name}.safetensors`, import.meta.url));
}

/** How to write the models. */
interface Options {
  /** Another checkpoint than `sdShapes`. */
  readonly from?: string;
  readonly models?: readonly NetworkName[];
  readonly precision?: Precision;
  /** What to spoil in the checkpoint before it is converted. */
  readonly spoilCheckpoint?: (checkpoint: Checkpoint) => Checkpoint;
  /** What to spoil in the graph that is written. */
  readonly spoilModel?: (model: OnnxModel) => void;
  /** Cuts the models into chunks of at most so many bytes. */
  readonly maxChunkBytes?: number;
}

/** Converts a checkpoint's models into `<folder>/<model>`. */
export async function writeModels(folder: string, options: Options = {}): Promise<string> {
  const {
    from = sdShapes,
    models,
    precision = 'float32',
    spoilCheckpoint = (same) => same,
    spoilModel,
  } = options;
  const checkpoint = await openCheckpoint(from);
  try {
    const request = { models, contract: optimumContract, attention: 'ORIGINAL', sizes: {} } as const;
    for (const { name, component, graph } of convert(spoilCheckpoint(checkpoint), request)) {
      const whole = buildOnnxModel(withPrecision(graph, precision), { model: name });
      spoilModel?.(whole);
      const chunks = options.maxChunkBytes === undefined ? [] : splitOnnx(whole, options.maxChunkBytes);
      for (const [i, model] of (chunks.length === 0 ? [whole] : chunks).entries()) {
        const target = join(folder, chunks.length === 0 ? name : `${name}_chunk${i + 1}`);
        await writeOnnx(model, target, () => {});
        await copyFile(component.configFile, join(target, 'config.json'));
      }
    }
  } finally {
    await checkpoint.close();
  }
  return folder;
}

/** Changes the float32 values of one weight as they are read. */
export function changeWeight(folder: string, name: string, change: (value: number) => number) {
  return (checkpoint: Checkpoint): Checkpoint => {
    const component = checkpoint.components.get(folder);
    const weight = component?.weights.get(name);
    if (!component || !weight) throw new Error(`${folder} has no ${name}`);
    const changed: Weight = {
      ...weight,
      async *stream(dtype) {
        for await (const block of weight.stream(dtype)) {
          const values = new Float32Array(block.buffer, block.byteOffset, block.byteLength / 4);
          values.set(values.map(change));
          yield block;
        }
      },
    };
    const spoiled = { ...component, weights: new Map([...component.weights, [name, changed]]) };
    return { ...checkpoint, components: new Map([...checkpoint.components, [folder, spoiled]]) };
  };
}

/** The files of a folder, by their paths in it. */
export function filesIn(folder: string): Record<string, Uint8Array> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  return Object.fromEntries(
    names.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length + 1).replaceAll('\\', '/'), readFileSync(path)];
    }),
  );
}
