import { basename, join } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import { createFolder } from '../io/create-folders.ts';
import { copyFile } from '../io/disk.ts';
import { withoutInfiniteDefaults, writeJson } from '../io/json/strict-json.ts';
import { ortFiles } from './find-onnxruntime-web.ts';
import { describeFile, type Placing, placeModel } from './place-models.ts';
import type { PlannedWeb } from './plan-web.ts';
import type { WebDemo, WebFile, WebModel, WebPlan, WebTokenizer } from './web-plan.ts';

/** Everything that goes into the folder of a page. */
export interface WebContents extends PlannedWeb {
  /** Paths of the page's own files. */
  readonly page: readonly string[];
  /** Folder with onnxruntime-web's files. */
  readonly onnxruntime: string;
  readonly demo: (Omit<WebDemo, 'picture'> & { readonly path: string }) | undefined;
  /** Throws where the models are not those any more that were planned. */
  readonly requireUnchanged: () => Promise<void>;
}

/** Files that were written, and their size in bytes. */
export interface WrittenWeb {
  readonly files: readonly WebFile[];
  readonly bytes: number;
}

/**
 * Writes the folder of a page, which appears complete or not at all, in the place of an earlier one. Throws `InterruptedError`,
 * `RequestError` for models that are too large for browsers, and what reading and writing throws.
 */
export async function writeWeb(folder: string, contents: WebContents, context: Context): Promise<WrittenWeb> {
  const files: WebFile[] = [];
  await createFolder(folder, async (growing) => {
    files.push(...(await fill(growing, contents, context)));
    await contents.requireUnchanged();
  });
  return { files, bytes: files.reduce((sum, { byteLength }) => sum + byteLength, 0) };
}

async function fill(
  folder: string,
  contents: WebContents,
  { onProgress, signal }: Context,
): Promise<WebFile[]> {
  const { page, onnxruntime, models, tokenizers, demo, requireUnchanged: _, ...facts } = contents;
  const quiet = { folder, signal, onBytes: () => {} };
  const placed: Record<string, WebModel> = {};
  for (const [done, model] of models.entries()) {
    throwIfInterrupted(signal);
    onProgress?.({ type: 'progress', stage: 'write', what: model.name, done, total: models.length });
    placed[model.name] = await placeModel(model, quiet);
  }
  const own: WebFile[] = [];
  for (const path of page) own.push(await copied(path, basename(path), quiet));
  for (const name of ortFiles) own.push(await copied(join(onnxruntime, name), `ort/${name}`, quiet));
  const plan: WebPlan = {
    ...facts,
    scheduler: withoutInfiniteDefaults(facts.scheduler),
    models: placed,
    tokenizers: await writeTokenizers(tokenizers, quiet),
    ...(demo && { demo: await placeDemo(demo, quiet) }),
  };
  await writeJson(join(folder, 'plan.json'), plan);
  const modelFiles = Object.values(placed).flatMap(({ model, data }) => [
    model,
    ...data.map(({ name: _, ...file }) => file),
  ]);
  const others = [...Object.values(plan.tokenizers), ...(plan.demo ? [plan.demo.picture] : [])];
  return [...own, ...modelFiles, ...others, await describeFile(join(folder, 'plan.json'), quiet)];
}

async function copied(from: string, to: string, placing: Placing): Promise<WebFile> {
  const target = join(placing.folder, to);
  await copyFile(from, target);
  return describeFile(target, placing);
}

async function placeDemo(
  { path, ...settings }: NonNullable<WebContents['demo']>,
  placing: Placing,
): Promise<WebDemo> {
  const target = join(placing.folder, 'demo.png');
  await copyFile(path, target);
  return { ...settings, picture: await describeFile(target, placing) };
}

async function writeTokenizers(
  tokenizers: PlannedWeb['tokenizers'],
  placing: Placing,
): Promise<Record<string, WebFile>> {
  const written: Record<string, WebFile> = {};
  for (const [encoder, { added = [], config, specialTokensMap, ...texts }] of tokenizers) {
    const path = join(placing.folder, 'models', encoder, 'tokenizer.json');
    const tokenizer: WebTokenizer = {
      ...texts,
      ...(config && { config }),
      ...(specialTokensMap && { specialTokensMap }),
      added: [...added],
    };
    await writeJson(path, tokenizer, 0);
    written[encoder] = await describeFile(path, placing);
  }
  return written;
}
