import { type PlannedArtifact, totalBytes } from '../../formats/artifact.ts';
import { nameOf } from '../../formats/artifact-id.ts';
import type { TargetName } from '../../formats/format.ts';
import { sharedFiles } from '../../formats/shared-files.ts';

/** An artifact with the same weights in another client's form; they are on the disk once. */
export interface PlannedTwin {
  /** Path of the artifact that is written first. */
  readonly path: string;
  /** Names of files that both have, and what the twin calls them. */
  readonly files: Readonly<Record<string, string>>;
  /** Bytes of these files. */
  readonly sharedBytes: number;
}

/** The artifacts of a planned model. */
interface Planned {
  readonly target: TargetName;
  readonly artifacts: readonly PlannedArtifact[];
}

/** The twins of planned artifacts: of those of one network and target, the first is the twin of all others that share files. */
export function twinsOf(models: readonly Planned[]): ReadonlyMap<PlannedArtifact, PlannedTwin> {
  const firsts = new Map<string, PlannedArtifact>();
  const twins = new Map<PlannedArtifact, PlannedTwin>();
  for (const { target, artifacts } of models) {
    for (const artifact of artifacts) {
      const key = `${target} ${nameOf(artifact.id)}`;
      const first = firsts.get(key);
      const files = sharedFiles(artifact.files, first?.files ?? []);
      const sharedBytes = totalBytes(artifact.files.filter(({ name }) => Object.hasOwn(files, name)));
      if (!first) firsts.set(key, artifact);
      else if (sharedBytes > 0) twins.set(artifact, { path: first.path, files, sharedBytes });
    }
  }
  return twins;
}
