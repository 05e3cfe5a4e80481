import { OutputExistsError } from '../errors.ts';
import type { StoredArtifact } from '../formats/artifact.ts';
import { locateArtifact } from '../formats/open.ts';
import { exists, listFolder, lookAtFile, pathKind } from '../io/disk.ts';
import { openSafetensors } from '../weights/safetensors-file.ts';

/**
 * Throws `OutputExistsError` for a path where a model is to be written: without `force` for anything that is there, with it for
 * a folder of something else than a model, which would be gone.
 */
export async function refuseExisting(path: string, { force }: { readonly force: boolean }): Promise<void> {
  if (!(await exists(path))) return;
  if (!force)
    throw new OutputExistsError({
      problem: `${path} already exists.`,
      advice: 'Pass --force to replace it.',
    });
  const isFolder = (await pathKind(path)) === 'folder';
  if (!isFolder || (await locateArtifact(path))) return;
  const names = await listFolder(path);
  if (names.length === 0) return;
  throw new OutputExistsError({
    problem: `${path} is a folder of something else than a model, and --force replaces models only.`,
    details: { 'it holds': inShort(names) },
    advice: 'Name another --output, such as a folder in it.',
  });
}

/** Throws `OutputExistsError` for a model that is to be removed with its folder, where that has something else in it. */
export async function refuseOthersBeside(artifact: StoredArtifact, folder: string): Promise<void> {
  const others = await artifact.others();
  if (others.length === 0) return;
  throw new OutputExistsError({
    problem: `${folder} holds something else than the model, and --remove-original would remove it.`,
    details: { 'it holds': inShort(others) },
    advice: 'Leave out --remove-original, or move it elsewhere.',
  });
}

function inShort(names: readonly string[]): string {
  return `${names.slice(0, 4).join(', ')}${names.length > 4 ? ', …' : ''}`;
}

/** More tensors than are recorded of a model's inputs and outputs. */
const MOST_RECORDED = 64;

/** Throws `OutputExistsError` for a file that is something else than recorded tensors, which are replaced, as an empty one is. */
export async function refuseOtherFile(path: string): Promise<void> {
  if ((await pathKind(path)) !== 'file' || (await lookAtFile(path))?.size === 0 || (await isRecording(path)))
    return;
  throw new OutputExistsError({
    problem: `${path} is there already, and holds something else than recorded tensors.`,
    advice: 'Name another file.',
  });
}

async function isRecording(path: string): Promise<boolean> {
  try {
    const { weights, close } = await openSafetensors(path);
    await close();
    return weights.size <= MOST_RECORDED;
  } catch {
    return false; // it is no .safetensors, or cannot be read
  }
}
