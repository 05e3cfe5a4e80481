import { basename, dirname, join, resolve } from 'node:path';
import type { Context } from '../context.ts';
import { FileFormatError } from '../errors.ts';
import { damagedFiles, damageInWords } from '../formats/damage.ts';
import { type ArtifactRecord, isConversion, placeInOutput, readProvenance } from '../formats/provenance.ts';

/** Of a whole conversion that is damaged, the first are enough. */
const MOST_TOLD = 4;

/**
 * Notes what of models, or of all in a folder of models, is missing or has another size than on record in their conversion, or that the
 * record is damaged. Nothing is read whole, so that it costs nothing: `verify` compares bytes.
 */
export async function noteUnlikeRecord(paths: readonly string[], { onProgress }: Context): Promise<void> {
  const sentences = new Set<string>();
  try {
    for (const path of paths)
      for (const [artifact, folder, { files }] of await onRecord(path))
        for await (const file of damagedFiles(folder, files, {
          hash: unread,
          since: Number.POSITIVE_INFINITY,
        }))
          sentences.add(`${artifact}/${damageInWords(file)}`);
  } catch (error) {
    if (!(error instanceof FileFormatError)) throw error;
    sentences.add(error.problem);
  }
  if (sentences.size === 0) return;
  const told = [...sentences].slice(0, MOST_TOLD);
  if (sentences.size > told.length) told.push(`So it is with ${sentences.size - told.length} more files.`);
  const message = `${told.join(' ')} If that is not on purpose, convert it again with --force, or copy it again.`;
  onProgress?.({ type: 'note', message });
}

/** Artifacts on record that a path is, lies in or holds: their names, their folders and the records. */
async function onRecord(path: string): Promise<[name: string, folder: string, record: ArtifactRecord][]> {
  // An ONNX model is also named by its file.
  const place = (await placeInOutput(path)) ?? (await placeInOutput(dirname(path)));
  const output = place?.output ?? ((await isConversion(path)) ? path : dirname(resolve(path)));
  const { artifacts = {} } = (await readProvenance(output)) ?? {};
  const below = output === path ? '' : `${basename(resolve(path))}/`;
  return Object.entries(artifacts)
    .filter(([name]) => (place ? name === place.path : name.startsWith(below)))
    .map(([name, record]) => [name, join(output, name), record]);
}

async function unread(): Promise<string> {
  return '';
}
