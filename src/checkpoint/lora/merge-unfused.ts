import { UnsupportedModelError } from '../../errors.ts';
import { count } from '../../text.ts';
import type { Weight } from '../../weights/weight.ts';
import type { Part as NetworkPart } from '../recognize/survey.ts';
import { type Part, parseLoraKey } from './lora-key.ts';
import { mergedWeight } from './merged-weight.ts';
import { readChange } from './module-change.ts';

type Networks = ReadonlyMap<NetworkPart, ReadonlyMap<string, Weight>>;

/** Networks with the LoRA among their tensors merged. */
export interface Fused {
  readonly parts: Networks;
  /** Names of tensors whose layers do not exist. */
  readonly left: readonly string[];
  /** Notes on what was merged, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Merges a LoRA that was loaded but not fused when the network was saved: its matrices are beside the network's own
 * (PEFT: `to_q.base_layer`, `to_q.lora_A.default`). The file has no alpha, so the scale is 1, as for any LoRA without
 * alpha. Throws `UnsupportedModelError` for several LoRAs, since the file does not show which of them were active.
 */
export function mergeUnfused(path: string, parts: Networks, changes: Networks): Fused {
  const merged = new Map([...parts]);
  const left: string[] = [];
  const notes: string[] = [];
  for (const [part, tensors] of changes) {
    const weights = new Map(merged.get(part));
    const modules = modulesOf(tensors);
    const own = [...modules].filter(([module]) => weights.has(`${module}.weight`));
    const others = [...modules].filter(([module]) => !weights.has(`${module}.weight`));
    // Not push of all: a call takes fewer arguments than a file may have names.
    for (const [, adapters] of others) for (const each of adapters.values()) left.push(...namesOf(each));
    if (own.length === 0) continue;
    checkOne(path, own);
    for (const [module, adapters] of own) mergeModule(weights, module, adapters);
    merged.set(part, weights);
    notes.push(
      `The ${part} was saved with a LoRA that was loaded but not fused: it is merged into ${count(own.length, 'layer')} with scale 1 (alpha = rank), since the file has no alpha.`,
    );
  }
  return { parts: merged, left, notes };
}

type Parts = Map<Part, Weight>;

/** Groups tensors by module, then by the name of their LoRA. */
function modulesOf(tensors: ReadonlyMap<string, Weight>): Map<string, Map<string, Parts>> {
  const modules = new Map<string, Map<string, Parts>>();
  for (const [name, weight] of tensors) {
    const key = parseLoraKey(name);
    if (!key) continue;
    const adapter = /\.lora_(?:[AB]|magnitude_vector)\.([\w-]+?)(?:\.weight)?$/.exec(name)?.[1] ?? '';
    const adapters = modules.get(key.module) ?? new Map<string, Parts>();
    modules.set(key.module, adapters);
    const parts = adapters.get(adapter) ?? new Map<Part, Weight>();
    adapters.set(adapter, parts);
    parts.set(key.part, weight);
  }
  return modules;
}

function mergeModule(
  weights: Map<string, Weight>,
  module: string,
  adapters: ReadonlyMap<string, Parts>,
): void {
  const base = weights.get(`${module}.weight`);
  for (const parts of adapters.values()) {
    const change = readChange({ module, networks: [], name: module, parts, defaults: {} });
    if (base) weights.set(base.name, mergedWeight(base, change, 1));
  }
}

function checkOne(path: string, modules: readonly (readonly [string, ReadonlyMap<string, Parts>])[]): void {
  const names = new Set(modules.flatMap(([, adapters]) => [...adapters.keys()]));
  if (names.size < 2) return;
  throw new UnsupportedModelError({
    problem: `${path} was saved with ${names.size} LoRAs loaded, and does not show which of them were active.`,
    details: { LoRAs: [...names].join(', ') },
    advice:
      'Fuse the ones that you want before saving (fuse_lora), or give the plain checkpoint and the LoRAs with --lora.',
  });
}

function namesOf(parts: Parts): string[] {
  return [...parts.values()].map(({ name }) => name);
}
