import { join } from 'node:path';
import type { WrittenFile } from '../formats/artifact.ts';
import { type ArtifactId, nameOf } from '../formats/artifact-id.ts';
import { linkFile, removePath } from '../io/disk.ts';
import type { Profile } from './profiles/profile.ts';

/**
 * Gives models a second name in the folder itself, for a client that looks for them there; they are the same files on the
 * disk. Returns the files by these names.
 */
export async function linkFlatNames(
  { flatNames = {} }: Pick<Profile, 'flatNames'>,
  folder: string,
  artifacts: readonly { readonly id: ArtifactId; readonly files: readonly WrittenFile[] }[],
): Promise<WrittenFile[]> {
  const linked: WrittenFile[] = [];
  for (const { id, files } of artifacts) {
    const name = new Map(Object.entries(flatNames)).get(id.network);
    const [model] = files;
    if (name === undefined || id.chunk || !model) continue;
    await removePath(join(folder, name));
    await linkFile(join(folder, nameOf(id), model.name), join(folder, name));
    linked.push({ ...model, name });
  }
  return linked;
}
