import { FileFormatError } from '../../errors.ts';
import type { Weight } from '../../weights/weight.ts';

/** The VAE's attention before diffusers 0.18, and as diffusers calls it now. */
export const oldVaeAttention: readonly (readonly [old: string, now: string])[] = [
  ['query', 'to_q'],
  ['key', 'to_k'],
  ['value', 'to_v'],
  ['proj_attn', 'to_out.0'],
];

/**
 * The weights under diffusers' present names; an old VAE's attention is renamed, everything else is as it was. Throws
 * `FileFormatError` when a tensor is there under both of its names.
 */
export function withPresentNames(weights: ReadonlyMap<string, Weight>): ReadonlyMap<string, Weight> {
  const renamed = new Map<string, Weight>();
  for (const [name, weight] of weights) {
    const now = presentName(name);
    const other = weights.get(now);
    if (other && other !== weight) throw thereTwice(weight, other);
    renamed.set(now, now === name ? weight : { ...weight, name: now });
  }
  return renamed;
}

function thereTwice(old: Weight, now: Weight): FileFormatError {
  return new FileFormatError({
    problem: 'a tensor of the VAE is there twice, under its old and its present name.',
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
