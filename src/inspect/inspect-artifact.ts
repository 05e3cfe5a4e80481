import type { ArtifactFacts, StoredArtifact } from '../formats/artifact.ts';
import type { Chunk } from '../formats/artifact-id.ts';
import type { Format } from '../formats/format.ts';
import { networkOfPorts } from '../run/tensor-names.ts';
import type { CommonFacts, Inspection, ModelInspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';

/** Looks at a model in whatever format. Throws as reading its facts does. */
export async function inspectArtifact<F extends Format>(
  artifact: StoredArtifact<F>,
): Promise<ModelInspection<F>> {
  const { format: kind, path } = artifact;
  const facts: ArtifactFacts<F> = await artifact.facts();
  const { inputs, outputs, weights, files, metadata, problems, own } = facts;
  const network = facts.network ?? networkOfPorts(inputs, outputs) ?? null;
  const common: CommonFacts<F> = {
    kind,
    path,
    network,
    chunk: chunkText(facts.chunk),
    inputs,
    outputs,
    operations: countTypes(facts.operations),
    weights,
    files,
    metadata,
    problems,
    next: nextForModel(path, network, problems),
  };
  return { ...common, ...own };
}

/** `1 of 2`, or the number alone where it is not known how many there are. */
function chunkText(chunk: Chunk | undefined): string | null {
  if (!chunk) return null;
  return chunk.of === undefined ? String(chunk.index) : `${chunk.index} of ${chunk.of}`;
}

/** Counts the types, the most frequent first, then by name. */
function countTypes(types: readonly string[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const type of types) counts.set(type, (counts.get(type) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}

/** Next command for a converted model: compare it with its origin, or run it where that is unknown. */
function nextForModel(path: string, network: string | null, problems: readonly string[]): Inspection['next'] {
  if (problems.length > 0) return { advice: 'Copy or convert it again, with all of its files.' };
  if (network !== null && !isControlNet(network))
    return nextCommand('validate', path, '--reference', 'CHECKPOINT');
  return nextCommand('run', path, '--inputs', 'INPUTS.safetensors', '--outputs', 'OUTPUTS.safetensors');
}

/** Whether a network is a ControlNet, which no checkpoint holds: it is compared with recorded tensors alone. */
export function isControlNet(network: string | undefined): boolean {
  return network?.startsWith('controlnet') ?? false;
}
