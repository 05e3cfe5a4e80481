import { join } from 'node:path';
import { SdConvertError } from '../../errors.ts';
import type { ArtifactFacts } from '../../formats/artifact.ts';
import { parsePath } from '../../formats/artifact-id.ts';
import { deploymentTargets } from '../../formats/coreml/deployment-target.ts';
import type { Format, OwnFacts } from '../../formats/format.ts';
import { withArtifact } from '../../formats/open.ts';
import type { Provenance } from '../../formats/provenance.ts';
import type { FoundArtifact } from '../../inspect/inspect-artifacts.ts';
import { networkOfPorts } from '../../run/tensor-names.ts';
import type { CardFile } from '../card.ts';

/** A model of a folder: what the card shows of it, and what was read of its header. */
export interface CollectedFile {
  readonly file: CardFile;
  readonly facts: ArtifactFacts | undefined;
}

/** Reads the headers of the models in a folder; one that cannot be read is described by why. Throws what no input causes. */
export async function collectFiles(
  folder: string,
  found: readonly FoundArtifact[],
  records: Provenance['artifacts'],
): Promise<CollectedFile[]> {
  const collected: CollectedFile[] = [];
  for (const artifact of found) collected.push(await collect(folder, artifact, records));
  return collected.map((each) => ({ ...each, file: likeItsPackage(each.file, collected) }));
}

/** A compiled model with the options on record of the package that it was compiled of. */
function likeItsPackage(file: CardFile, all: readonly CollectedFile[]): CardFile {
  if (file.format !== 'mlmodelc' || file.precision !== null) return file;
  const { precision, attention } =
    all
      .map((each) => each.file)
      .find(
        ({ format, network, chunk }) =>
          format === 'mlpackage' && network === file.network && chunk === file.chunk,
      ) ?? file;
  return { ...file, precision, attention };
}

async function collect(
  folder: string,
  { path, format, byteLength }: FoundArtifact,
  records: Provenance['artifacts'],
): Promise<CollectedFile> {
  // A folder may be called like something that every object has.
  const own = Object.hasOwn(records, path) ? records[path] : undefined;
  const options = own?.options ?? {};
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  const { network = null, chunk } = parsePath(path);
  const known = {
    ...{ path, format, network, byteLength, chunk: chunk?.index ?? null },
    files: own ? own.files.map((file) => ({ ...file })) : filesOfClient(path, records),
    precision: text(options.precision),
    attention: text(options.attention),
  };
  try {
    const facts = await withArtifact(join(folder, path), (each) => each.facts());
    const { weights, inputs, outputs } = facts;
    const read = { network: network ?? networkOfPorts(inputs, outputs) ?? null, weights: [...weights] };
    return { file: { ...known, ...read, needs: needsOf(facts.own), problem: null }, facts };
  } catch (error) {
    if (!(error instanceof SdConvertError)) throw error;
    return { file: { ...known, weights: [], needs: null, problem: error.problem }, facts: undefined };
  }
}

/** The files of an artifact as they are on record under the path of the folder of a client. */
function filesOfClient(path: string, records: Provenance['artifacts']): CardFile['files'] {
  for (const [folder, { files }] of Object.entries(records)) {
    if (!path.startsWith(`${folder}/`)) continue;
    const within = `${path.slice(folder.length + 1)}/`;
    const found = files.filter(({ name }) => name.startsWith(within));
    if (found.length > 0) return found.map((file) => ({ ...file, name: file.name.slice(within.length) }));
  }
  return [];
}

/** What a model asks of whoever loads it. */
function needsOf(own: OwnFacts[Format]): string | null {
  if ('stamp' in own) return `Core AI, operations of ${own.stamp}`;
  if ('opsets' in own)
    return Object.entries(own.opsets)
      .map(([domain, version]) => `${domain === 'ai.onnx' ? 'opset' : domain} ${version}`)
      .join(', ');
  const { deploymentTarget } = own;
  return deploymentTarget && `${spaced(deploymentTarget)}, iOS ${deploymentTargets[deploymentTarget].ios}`;
}

/** `macOS13` → `macOS 13`. */
function spaced(target: string): string {
  return target.replace(/(\d+)$/, ' $1');
}
