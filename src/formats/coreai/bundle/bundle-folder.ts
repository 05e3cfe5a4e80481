import { join } from 'node:path';
import { placeSideFile, type SideFile, sideFileCalled, sideFileName } from '../../../checkpoint/side-file.ts';
import { swiftVocabulary } from '../../../checkpoint/swift-vocabulary.ts';
import type { Context } from '../../../context.ts';
import { listFolder } from '../../../io/disk.ts';
import { writeJson } from '../../../io/json/strict-json.ts';
import type { WrittenFile } from '../../artifact.ts';
import { formatOfEnding } from '../../format.ts';
import { type CoreAiFolder, folderMetadata, folderNotes } from './folder-metadata.ts';

const METADATA = 'metadata.json';
const TOKENIZER_FILES = ['vocab.json', 'merges.txt'];

/** Paths that `bundleCoreAi` writes, relative to the folder. */
export function coreAiFolderFiles(tokenizer: readonly SideFile[]): string[] {
  const names = tokenizer.map(sideFileName);
  return [METADATA, ...TOKENIZER_FILES.filter((name) => names.includes(name))];
}

/** What completes a folder of assets. */
export interface CoreAiBundle extends Omit<CoreAiFolder, 'assets'> {
  /** The files of the checkpoint's tokenizer; `vocab.json` and `merges.txt` are taken. */
  readonly tokenizer: readonly SideFile[];
}

/**
 * Completes a folder of assets, those of earlier runs, too, so that Apple's Core AI pipelines load it: `metadata.json` and the
 * tokenizer's two files. Notes tell what these pipelines cannot do with it. Returns the files written. Throws as `writeJson` and
 * `placeSideFile` do.
 */
export async function bundleCoreAi(
  { tokenizer, ...about }: CoreAiBundle,
  folder: string,
  { onProgress }: Context = {},
): Promise<WrittenFile[]> {
  const vocabulary = await swiftVocabulary(tokenizer);
  const assets = (await listFolder(folder)).filter((name) => formatOfEnding(name) === 'aimodel');
  const contents = { ...about, assets };
  const metadata = await writeJson(join(folder, METADATA), folderMetadata(contents));
  const written: WrittenFile[] = [{ name: METADATA, ...metadata }];
  const notes = folderNotes(contents);
  for (const name of TOKENIZER_FILES) {
    const file = sideFileCalled(vocabulary, name);
    if (file) written.push({ name, ...(await placeSideFile(file, join(folder, name))) });
    else notes.push(`the tokenizer has no ${name}: ${folder} cannot be loaded without it.`);
  }
  for (const message of notes) onProgress?.({ type: 'note', message });
  return written;
}
