import { basename, dirname, join, resolve } from 'node:path';
import { RequestError } from '../../errors.ts';
import { exists, listFolder, openFile, pathKind } from '../../io/disk.ts';
import { sizeOfFile } from '../../io/file-sizes.ts';
import { copyConfigFile } from '../../io/json/strict-json.ts';
import { linkFolder } from '../../io/link-folder.ts';
import type { Artifact, FormatRoom, StoredArtifact } from '../artifact.ts';
import { chunkName, chunkOf, type ModelName } from '../artifact-id.ts';
import { modelName } from '../format.ts';
import type { OnnxModel } from './build-model.ts';
import { withClientEdges } from './edges/client-edges.ts';
import { bordersOf } from './edges/onnx-borders.ts';
import { looksLikeOnnx } from './onnx-header.ts';
import { nameInModel } from './onnx-metadata.ts';
import { quantizeOnnx } from './quantize-onnx.ts';
import { type OpenOnnx, openOnnx, withWeightsBeside } from './read-onnx.ts';
import { describeOnnx, readOnnxFacts } from './read-onnx-facts.ts';
import { readOnnxForms } from './read-stored-forms.ts';
import { openOnnxSession } from './run/onnx-session.ts';
import { splitOnnx } from './split-onnx.ts';
import { onnxContents, plannedFiles } from './write-onnx.ts';

const MODEL = 'model.onnx';

/** ONNX models: a file, or a folder that holds a `model.onnx`. */
export const onnxRoom: FormatRoom<'onnx'> = {
  title: 'an ONNX model',
  heading: 'ONNX model',
  async locate(path, kind) {
    if (kind === 'folder')
      return (await pathKind(join(path, MODEL))) === 'file' ? join(path, MODEL) : undefined;
    const file = await openFile(path);
    return (await looksLikeOnnx(file).finally(() => file.close())) ? path : undefined;
  },
  open: onnxArtifact,
  describe: describeOnnx,
};

function onnxArtifact(path: string): StoredArtifact<'onnx'> {
  const folder = dirname(path);
  const isInFolder = basename(path) === MODEL;
  let reading: Promise<OpenOnnx> | undefined;
  const model = () => {
    reading ??= openOnnx(path);
    return reading;
  };
  return {
    format: 'onnx',
    path,
    async open() {
      const opened = await model();
      return onnxModel(withWeightsBeside(opened, path), nameInModel(opened.proto, path));
    },
    facts: () => readOnnxFacts(path),
    quantized: async () => readOnnxForms((await model()).proto),
    run: (options) => openOnnxSession(path, options),
    async runnable() {
      const { proto } = await model();
      return {
        ...bordersOf(proto, path),
        model: { proto, dataFiles: [] },
        dataFolder: resolve(folder),
        close: async () => {},
      };
    },
    async byteLength() {
      const names = new Set((await model()).dataFiles.map(({ location }) => location));
      let sum = 0; // one at a time: a system lets few files be open at once
      for (const name of names.add(basename(path))) sum += await sizeOfFile(join(folder, name));
      return sum;
    },
    async others() {
      const data = (await model()).dataFiles.map(({ location }) => location.split('/', 1)[0]);
      const own = new Set([basename(path), 'config.json', ...data]);
      return (await listFolder(folder)).filter((name) => !own.has(name) && !name.startsWith('.'));
    },
    // Not dirname: the folder may be '.'.
    chunkPath: (chunk) => join(folder, isInFolder ? '..' : '.', chunkName(modelName(path), chunk)),
    place(output) {
      if (output !== undefined) return basename(output) === MODEL ? dirname(output) : output;
      if (isInFolder) return folder;
      throw new RequestError({
        problem: `${path} cannot be quantised in place: only a file named model.onnx can.`,
        advice: 'Name an --output folder; the model will be its model.onnx.',
      });
    },
    async complete(into, { inPlace }) {
      const config = join(folder, 'config.json');
      if (!inPlace) {
        if (await exists(config)) await copyConfigFile(config, join(into, 'config.json'));
        return;
      }
      const isAlone = (await listFolder(folder)).filter((name) => name.endsWith('.onnx')).length === 1;
      const replaced = isAlone ? (await model()).dataFiles.map(({ location }) => location) : [];
      await linkFolder(folder, into, new Set([MODEL, ...replaced]));
    },
    async close() {
      // A failure to open was reported where it happened.
      await reading?.then((each) => each.close()).catch(() => {});
    },
  };
}

/** Wraps a built or open model; an open one must stay open until all models made from it are written. */
export function onnxModel(model: OnnxModel, name: ModelName): Artifact {
  const artifact: Artifact = {
    name,
    files: () => plannedFiles(model),
    contents: async () => onnxContents(model),
    forClient: ({ onnx }, kind) => (onnx ? onnxModel(withClientEdges(model, kind, onnx), name) : artifact),
    rewritten(plan) {
      const { model: quantized, weights } = quantizeOnnx(model, plan);
      return { artifact: onnxModel(quantized, name), weights };
    },
    cut(maxBytes) {
      const models = splitOnnx(model, maxBytes);
      const chunks = models.map((each, index) => onnxModel(each, chunkOf(name, index, models.length)));
      return { chunks };
    },
  };
  return artifact;
}
