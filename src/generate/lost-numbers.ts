import type { TensorData } from '../weights/tensor-data.ts';

/** Whether all numbers are: float16 that overflows, and damaged weights, make infinity and NaN, which a picture shows as black. */
export function areFinite({ data }: TensorData<'f32'>): boolean {
  return data.every(Number.isFinite);
}

/** Says that latents became numbers that are none. */
export function lostInLatents(prompt: string): string {
  return `“${prompt}” became numbers that are not finite, and its picture shows nothing: take another --scheduler or --guidance-scale, or a model in float32.`;
}

/** Says that the decoder of the VAE made such numbers of latents that were right. */
export function lostInDecoder(prompt: string): string {
  return `the VAE decoder made numbers that are not finite of “${prompt}”, and its picture is black there: convert the VAE with --precision float32 or float16-weights.`;
}
