import { basename, join } from 'node:path';
import type { WrittenFile } from '../emit/artifact.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { copyHashed } from '../weights/copy-file.ts';
import { exists, listFolder } from '../weights/disk.ts';
import { writeHashed } from '../weights/write-hashed.ts';

/** Which component of the checkpoint a model's folder takes its config from. */
export interface BundledModel {
  /** Folder name below `onnx/`: `unet`, `unet_chunk1`, `vae_decoder`. */
  readonly folder: string;
  readonly configFile: string;
}

/**
 * Completes the `onnx/` folder, so that diffusers-like pipelines (optimum's above all) load it as it is: each model's
 * config, the scheduler, the tokenizer, and a `model_index.json` that names what is there. Gives the files it wrote, by
 * path below the folder.
 */
export async function bundleOnnxFolder(
  checkpoint: Checkpoint,
  models: readonly BundledModel[],
  folder: string,
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  const copy = async (from: string, name: string): Promise<void> => {
    written.push({ name, ...(await copyHashed(from, join(folder, name))) });
  };
  for (const model of models) await copy(model.configFile, `${model.folder}/config.json`);
  for (const [name, files] of checkpoint.folders) {
    for (const file of files) await copy(file, `${name}/${basename(file)}`);
  }
  const index = new TextEncoder().encode(
    `${JSON.stringify(await modelIndex(checkpoint, folder), null, 2)}\n`,
  );
  const hashed = await writeHashed(join(folder, 'model_index.json'), (write) => write(index, 0));
  return [...written, { name: 'model_index.json', ...hashed }];
}

/** The checkpoint's index without the components that were not converted (a safety checker, say). */
async function modelIndex(checkpoint: Checkpoint, folder: string): Promise<Record<string, unknown>> {
  const present = new Set((await exists(folder)) ? await listFolder(folder) : []);
  const names = [...present].map((name) => name.replace(/_chunk\d+$/, ''));
  const parts = new Set(names.map((name) => (name.startsWith('vae_') ? 'vae' : name)));
  const entries = Object.entries(checkpoint.modelIndex).map(([key, value]) => [
    key,
    !Array.isArray(value) || parts.has(key) ? value : [null, null],
  ]);
  const index: Record<string, unknown> = Object.fromEntries(entries);
  if (!parts.has('safety_checker') && 'requires_safety_checker' in index)
    index.requires_safety_checker = false;
  return index;
}
