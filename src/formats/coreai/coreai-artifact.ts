import { basename, join } from 'node:path';
import { RequestError } from '../../errors.ts';
import { openFile, pathKind } from '../../io/disk.ts';
import { folderSize } from '../../io/file-sizes.ts';
import { isJsonObject, type JsonObject } from '../../io/json/python-json.ts';
import type { FormatRoom, StoredArtifact } from '../artifact.ts';
import { chunkName, parsePath } from '../artifact-id.ts';
import { endings, modelName } from '../format.ts';
import { runnableTranslated, runTranslated, type Translatable } from '../onnx/translated/run-translated.ts';
import { type AssetMetadata, assetFileNames } from './asset.ts';
import { isBytecode } from './bytecode/read-container.ts';
import { coreAiModel } from './model.ts';
import { type CoreAiAsset, openAsset } from './open-asset.ts';
import { coreAiFacts, describeCoreAi } from './read-coreai-facts.ts';
import { readForms } from './stored-weights.ts';
import { coreAiToOnnx } from './to-onnx/to-onnx.ts';

/** Core AI assets (`.aimodel`). */
export const coreAiRoom: FormatRoom<'aimodel'> = {
  title: 'a Core AI asset',
  heading: 'Core AI asset',
  async locate(path, kind) {
    const file = join(path, assetFileNames.program);
    if (kind !== 'folder' || (await pathKind(file)) !== 'file') return undefined;
    return (await beginsAsBytecode(file)) ? path : undefined;
  },
  open: coreAiArtifact,
  describe: describeCoreAi,
};

async function beginsAsBytecode(path: string): Promise<boolean> {
  const file = await openFile(path);
  const start = new Uint8Array(Math.min(4, file.size));
  await file.read(start, 0).finally(() => file.close());
  return isBytecode(start);
}

/** A Core AI asset on the disk. */
function coreAiArtifact(path: string): StoredArtifact<'aimodel'> {
  let opened: Promise<CoreAiAsset> | undefined;
  const asset = () => {
    opened ??= openAsset(path);
    return opened;
  };
  return {
    format: 'aimodel',
    path,
    async open() {
      const { program, metadata } = await asset();
      return coreAiModel({ program, metadata: describing(metadata) }, parsePath(path));
    },
    facts: async () => coreAiFacts(await asset()),
    quantized: async () => readForms((await asset()).program),
    run: async (options) => runTranslated(translatable(await asset()), options),
    runnable: async (options) => runnableTranslated(translatable(await asset()), options),
    byteLength: () => folderSize(path),
    others: async () => [], // a folder of its ending is one thing
    // Not dirname: the path may be '.'.
    chunkPath: (chunk) => join(path, '..', `${chunkName(modelName(path), chunk)}${endings.aimodel}`),
    place: (output) => (output === undefined ? path : checkPlace(output)),
    async complete() {},
    async close() {
      // A failure to open was reported where it happened.
      await opened?.then((each) => each.close()).catch(() => {});
    },
  };
}

function translatable(asset: CoreAiAsset): Translatable {
  return { path: asset.path, toOnnx: (options) => coreAiToOnnx(asset, options) };
}

/** What an asset says of itself, without what its writer says again. */
function describing({ author, license, description, creatorDefinedMetadata }: JsonObject): AssetMetadata {
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return {
    author: text(author),
    license: text(license),
    description: text(description),
    creatorDefinedMetadata: isJsonObject(creatorDefinedMetadata) ? creatorDefinedMetadata : undefined,
  };
}

function checkPlace(output: string): string {
  if (basename(output).endsWith(endings.aimodel)) return output;
  throw new RequestError({
    problem: `${output} is not the name of a Core AI asset.`,
    advice: `Let it end in ${endings.aimodel}.`,
  });
}
