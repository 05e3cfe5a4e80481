import { basename, join } from 'node:path';
import { RequestError } from '../../errors.ts';
import { folderSize } from '../../io/file-sizes.ts';
import type { Artifact, ArtifactFacts, StoredArtifact } from '../artifact.ts';
import { chunkName, chunkOf, type ModelName, parsePath } from '../artifact-id.ts';
import { endings, modelName } from '../format.ts';
import { runnableTranslated, runTranslated, type Translatable } from '../onnx/translated/run-translated.ts';
import { withTokensFirst } from './client-edges.ts';
import { type MilModel, mainFunction } from './mil/mil-model.ts';
import type { Model } from './mil/mil-schema.ts';
import { verifiedDescription } from './mil/verify-description.ts';
import { packageContents, packageFiles } from './package/package.ts';
import { streamedModel } from './package/streamed-model.ts';
import { quantizeMil } from './quantize/quantize-mil.ts';
import { readMilForms } from './quantize/read-stored-forms.ts';
import { coreMlFacts } from './read-coreml-facts.ts';
import { chunkCountNote, splitMil } from './split-mil.ts';
import { milToOnnx } from './to-onnx/to-onnx.ts';

type CoreMlFormat = 'mlpackage' | 'mlmodelc';

/** Differences between packages and compiled models. */
export interface MilFormat<F extends CoreMlFormat> {
  readonly format: F;
  open(path: string): Promise<MilModel>;
  /** Folder that a rewritten model replaces; throws `RequestError` where its format is not written. */
  ownPlace(path: string): string;
}

/** A Core ML model on the disk, a package or compiled; models made from it are packages. */
export function milArtifact<F extends CoreMlFormat>(
  { format, open, ownPlace }: MilFormat<F>,
  path: string,
): StoredArtifact<F> {
  let opened: Promise<MilModel> | undefined;
  const model = () => {
    opened ??= open(path).then(verifiedDescription);
    return opened;
  };
  return {
    format,
    path,
    open: async () => milModel(streamedModel(await model()), parsePath(path), path),
    // as: both Core ML formats have the same facts.
    facts: async () => (await coreMlFacts(await model())) as ArtifactFacts<F>,
    quantized: async () => readMilForms(mainFunction(await model()).block),
    run: async (options) => runTranslated(translatable(await model()), options),
    runnable: async (options) => runnableTranslated(translatable(await model()), options),
    byteLength: () => folderSize(path),
    others: async () => [], // a folder of its ending is one thing
    // Not dirname: the path may be '.'.
    chunkPath: (chunk) => join(path, '..', `${chunkName(modelName(path), chunk)}${endings.mlpackage}`),
    place: (output) => (output === undefined ? ownPlace(path) : checkPlace(output)),
    async complete() {},
    async close() {
      // A failure to open was reported where it happened.
      await opened?.then((each) => each.close()).catch(() => {});
    },
  };
}

/** Wraps a built or open model; an open one must stay open until all models made from it are written. `label` is its name for errors. */
export function milModel(model: Model, name: ModelName, label: string): Artifact {
  const artifact: Artifact = {
    name,
    files: () => packageFiles(model),
    contents: () => packageContents(model),
    forClient: ({ coreMl }) => (coreMl ? milModel(withTokensFirst(model, label), name, label) : artifact),
    rewritten(plan) {
      const { model: quantized, weights } = quantizeMil(model, label, plan);
      return { artifact: milModel(quantized, name, label), weights };
    },
    cut(maxBytes) {
      const models = splitMil(model, label, maxBytes);
      const chunks = models.map((each, index) => milModel(each, chunkOf(name, index, models.length), label));
      return { chunks, note: chunkCountNote(models.length, maxBytes) };
    },
  };
  return artifact;
}

function translatable(model: MilModel): Translatable {
  return { path: model.path, toOnnx: (options) => milToOnnx(model, options) };
}

function checkPlace(output: string): string {
  if (basename(output).endsWith(endings.mlpackage)) return output;
  throw new RequestError({
    problem: `${output} is not the name of a Core ML package.`,
    advice: `Let it end in ${endings.mlpackage}.`,
  });
}
