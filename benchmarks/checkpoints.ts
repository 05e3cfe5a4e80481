import { elementCount } from '../src/weights/dtype.ts';
import { type FullSizeComponent, fullSizeComponents, withEmbeddings, withWidths } from './full-size.ts';
import type { FloatDType } from './random-weight.ts';

/** A checkpoint of real sizes that can be made with random weights. */
export interface BenchmarkCheckpoint {
  readonly title: string;
  readonly dtype: FloatDType;
  components(): Readonly<Record<string, FullSizeComponent>>;
}

/** The checkpoints that are measured, by name, the smallest first. */
export const benchmarkCheckpoints: Readonly<Record<string, BenchmarkCheckpoint>> = {
  'sd15-f16': { title: 'SD 1.5, float16', dtype: 'f16', components: () => fullSizeComponents('sd15') },
  sd15: { title: 'SD 1.5, float32', dtype: 'f32', components: () => fullSizeComponents('sd15') },
  sd21: { title: 'SD 2.1, float32', dtype: 'f32', components: () => fullSizeComponents('sd21') },
  'sdxl-f16': { title: 'SDXL, float16', dtype: 'f16', components: () => fullSizeComponents('sdxl') },
  // A UNet 1.6 times as wide, and embeddings that are one tensor of 800 MB.
  wide: {
    title: 'synthetic, float32',
    dtype: 'f32',
    components: () => withEmbeddings(withWidths(fullSizeComponents('sd15'), 1.6), 800e6),
  },
};

/** Bytes of a checkpoint's weights. */
export function checkpointBytes({ dtype, components }: BenchmarkCheckpoint): number {
  const shapes = Object.values(components()).flatMap(({ weights }) => Object.values(weights));
  return shapes.reduce((sum, shape) => sum + elementCount(shape), 0) * (dtype === 'f32' ? 4 : 2);
}
