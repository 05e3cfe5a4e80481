import type { Chunk } from '../formats/artifact-id.ts';
import { networkOf } from '../run/tensor-names.ts';
import type { Inspection, ValueInspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';

/** What is told of ONNX and Core ML models in the same way. */

/** Which network of Stable Diffusion has these inputs. */
export function networkNamed(inputs: readonly ValueInspection[]): string | null {
  const names = inputs.map(({ name }) => name);
  const network = networkOf(names) ?? null;
  // A VAE's one input has a name that anybody's model might have; that it is a batch of pictures must be true as well.
  const isVae = network?.startsWith('vae_');
  return isVae && (inputs.length !== 1 || inputs[0]?.shape?.length !== 4) ? null : network;
}

/** Which chunk it is, in words: `1 of 2`, or the number alone where it is not known how many there are. */
export function chunkText(chunk: Chunk | undefined): string | null {
  if (!chunk) return null;
  return chunk.of === undefined ? String(chunk.index) : `${chunk.index} of ${chunk.of}`;
}

/** How often each type occurs, the most frequent first, then by name. */
export function countTypes(types: readonly string[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const type of types) counts.set(type, (counts.get(type) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}

/** What to do with a converted model: compare it with its origin, or run it where that is not known. */
export function nextForModel(
  path: string,
  network: string | null,
  problems: readonly string[],
): Inspection['next'] {
  if (problems.length > 0) return { advice: 'Copy or convert it again, with all of its files.' };
  if (network !== null) return nextCommand('validate', path, '--reference', 'CHECKPOINT');
  return nextCommand('run', path, '--inputs', 'INPUTS.safetensors', '--outputs', 'OUTPUTS.safetensors');
}
