import { checkArguments, number, size } from '../../io/check-call.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { type Conditioning, repeatRows } from './predict-noise.ts';

/**
 * Embeds the guidance scale for a UNet with distilled guidance (LCM; Meng et al. 2023): sines, then cosines, of `scale − 1`
 * as `timestep_cond` [1,channels].
 */
export function guidanceEmbedding(scale: number, channels: number): TensorData<'f32'> {
  checkArguments('guidanceEmbedding', { scale: [scale, number], channels: [channels, size] });
  const half = Math.floor(channels / 2);
  const rate = Math.fround(Math.fround(Math.log(10_000)) / (half - 1));
  const guidance = Math.fround(Math.fround(scale - 1) * 1000);
  const data = new Float32Array(channels);
  for (let i = 0; i < half; i++) {
    const angle = Math.fround(guidance * Math.fround(Math.exp(Math.fround(-rate * i))));
    data[i] = Math.sin(angle);
    data[half + i] = Math.cos(angle);
  }
  return { dtype: 'f32', shape: [1, channels], data };
}

/** Adds the guidance scale to the conditioning, for a UNet with distilled guidance. */
export function withGuidanceScale(
  conditioning: Conditioning,
  { guidanceChannels }: { readonly guidanceChannels?: number | undefined },
  scale: number,
): Conditioning {
  if (guidanceChannels === undefined) return conditioning;
  const embedding = repeatRows(
    guidanceEmbedding(scale, guidanceChannels),
    conditioning.hiddenStates.shape[0] ?? 1,
  );
  return { ...conditioning, added: new Map([...(conditioning.added ?? []), ['timestep_cond', embedding]]) };
}
