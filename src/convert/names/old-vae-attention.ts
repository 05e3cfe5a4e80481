import type { Weight } from '../../weights/weight.ts';

/** The VAE's attention before diffusers 0.18, and as diffusers calls it now. */
export const oldVaeAttention: readonly (readonly [old: string, now: string])[] = [
  ['query', 'to_q'],
  ['key', 'to_k'],
  ['value', 'to_v'],
  ['proj_attn', 'to_out.0'],
];

/** The weights under diffusers' present names; an old VAE's attention is renamed, everything else is as it was. */
export function withPresentNames(weights: ReadonlyMap<string, Weight>): ReadonlyMap<string, Weight> {
  const renamed = new Map<string, Weight>();
  for (const [name, weight] of weights) {
    const now = presentName(name);
    renamed.set(now, now === name ? weight : { ...weight, name: now });
  }
  return renamed;
}

function presentName(name: string): string {
  for (const [old, now] of oldVaeAttention) {
    const marker = `.mid_block.attentions.0.${old}.`;
    if (name.includes(marker)) return name.replace(marker, `.mid_block.attentions.0.${now}.`);
  }
  return name;
}
