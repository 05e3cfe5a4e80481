import { FileFormatError } from '../../errors.ts';
import type { Weight } from '../../weights/weight.ts';

/** Names of the layers in a VAE's attention: before diffusers 0.18, and now. */
export const oldVaeAttention: readonly (readonly [old: string, now: string])[] = [
  ['query', 'to_q'],
  ['key', 'to_k'],
  ['value', 'to_v'],
  ['proj_attn', 'to_out.0'],
];

/**
 * Renames the attention weights of an old VAE to diffusers' present names; other weights are unchanged. Throws
 * `FileFormatError` when the VAE has a tensor under both names.
 */
export function withPresentNames(weights: ReadonlyMap<string, Weight>): ReadonlyMap<string, Weight> {
  const renamed = new Map<string, Weight>();
  for (const [name, weight] of weights) {
    const now = presentName(name);
    const other = weights.get(now);
    if (other && other !== weight) throw underBothNames(weight, other);
    renamed.set(now, now === name ? weight : { ...weight, name: now });
  }
  return renamed;
}

function underBothNames(old: Weight, now: Weight): FileFormatError {
  return new FileFormatError({
    problem: 'the VAE has a tensor twice, under its old and its present name.',
    details: { old: `${old.name} in ${old.file}`, present: `${now.name} in ${now.file}` },
    advice: 'The file was put together from two. Use the VAE as its author published it.',
  });
}

function presentName(name: string): string {
  for (const [old, now] of oldVaeAttention) {
    const marker = `.mid_block.attentions.0.${old}.`;
    if (name.includes(marker)) return name.replace(marker, `.mid_block.attentions.0.${now}.`);
  }
  return name;
}
