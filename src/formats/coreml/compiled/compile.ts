import { createHash } from 'node:crypto';
import { dirname, join, parse } from 'node:path';
import { throwIfInterrupted } from '../../../context.ts';
import { BLOCK_BYTES } from '../../../io/bytes.ts';
import { createFolder } from '../../../io/create-folders.ts';
import { linkFile, openFile, writeFile } from '../../../io/disk.ts';
import { modelName } from '../../format.ts';
import { withOutputNames } from '../client-edges.ts';
import { FLEXIBLE_SHAPES, flexibleShapes } from '../mil/flexible-shapes.ts';
import { featuresByFunction, type MilModel } from '../mil/mil-model.ts';
import { encodeDescription, type ModelDescription } from '../mil/mil-schema.ts';
import { printMilProgram } from '../mil/mil-text.ts';
import { verifiedDescription } from '../mil/verify-description.ts';
import { openMlPackage, packageModelFile } from '../package/read-package.ts';
import { weightFilePath } from '../package/weight-blobs.ts';
import { writeContainer } from './compiled-container.ts';
import { compiledMetadata } from './compiled-metadata.ts';

/**
 * Core ML runs models in a compiled form (`.mlmodelc`) that Apple's tools only make on a Mac. For an ML Program it is a
 * translation, with nothing computed: the program as text, the description in another container, the weight file as it
 * is. This one gives the bytes that Apple's compiler gives (except for the order of a map, which Apple's draws by lot).
 */

/** The versions a compiled model says it was made with. */
export interface CompilerVersions {
  /** `coremlc-component-MIL` */
  readonly component: string;
  /** `coremlc-version` */
  readonly compiler: string;
}

/** The version of Apple's compiler whose output this one reproduces. */
const reproducedVersions: CompilerVersions = { component: '3500.14.1', compiler: '3500.32.1' };

/** Options of compiling a package. */
export interface CompileOptions {
  /** Metadata that the compiled model has besides the package's, by key (`userDefinedMetadata`). */
  readonly metadata?: ((description: ModelDescription) => Readonly<Record<string, string>>) | undefined;
  /** Names that outputs have instead of the package's. */
  readonly outputNames?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Is called before the model appears, and throws where the package is not the one any more that was read. */
  readonly requireUnchanged?: (() => Promise<void>) | undefined;
}

/**
 * Compiles a package (`.mlpackage`) into a bundle (`.mlmodelc`), which appears under `bundlePath` when it is complete,
 * in the place of one that was there. Weights are not read but linked, or copied where the disk has no links. Throws as
 *`openMlPackage` does; `UnsupportedModelError` for models that cannot be compiled here: specification versions beyond 9,
 * enumerated shapes, inputs and outputs that are not arrays; `DiskSpaceError`, and `RequestError` where writing is
 * forbidden; `InterruptedError` when `signal` aborts it.
 */
export async function compileMlPackage(
  packagePath: string,
  bundlePath: string,
  {
    versions = reproducedVersions,
    metadata: added,
    outputNames,
    signal,
    requireUnchanged,
  }: CompileOptions & { readonly versions?: CompilerVersions } = {},
): Promise<void> {
  throwIfInterrupted(signal);
  const modelFile = await packageModelFile(packagePath);
  const opened = await verifiedDescription(await openMlPackage(packagePath));
  const named = outputNames ? withOutputNames(opened, new Map(Object.entries(outputNames))) : opened;
  const model = added ? withMetadata(named, added(opened.description)) : named;
  try {
    const metadata = compiledMetadata(model, className(packagePath));
    const text = programText(model, versions);
    await createFolder(bundlePath, async (folder) => {
      await writePieces(join(folder, 'model.mil'), text, signal);
      await writePieces(join(folder, 'metadata.json'), [metadata], signal);
      await writeBytes(join(folder, 'coremldata.bin'), writeContainer(model));
      await writeBytes(join(folder, 'analytics', 'coremldata.bin'), await analytics(modelFile));
      for (const name of model.weights.files.keys()) {
        const path = weightFilePath(name) ?? '';
        await linkFile(join(dirname(modelFile), path), join(folder, path));
      }
      await requireUnchanged?.();
    });
  } finally {
    await model.close();
  }
}

/** A model whose description has more metadata of the user's. */
function withMetadata(model: MilModel, added: Readonly<Record<string, string>>): MilModel {
  const { metadata } = model.description;
  const texts = metadata ?? { shortDescription: '', versionString: '', author: '', license: '' };
  const userDefined = { ...metadata?.userDefined, ...added };
  const description = { ...model.description, metadata: { ...texts, userDefined } };
  return { ...model, description, descriptionBytes: encodeDescription(description) };
}

function programText(model: MilModel, versions: CompilerVersions) {
  const { program, specificationVersion, path } = model;
  const featuresOf = featuresByFunction(model);
  return printMilProgram(program, {
    specificationVersion,
    buildInfo: { 'coremlc-component-MIL': versions.component, 'coremlc-version': versions.compiler },
    functionAttributes(name) {
      const shapes = flexibleShapes(featuresOf(name).input, path);
      return shapes ? { [FLEXIBLE_SHAPES]: shapes } : {};
    },
  });
}

/** Name of Xcode's class for a model: that of its file, with characters that no identifier has replaced. */
function className(packagePath: string): string {
  const name = modelName(packagePath).replaceAll(/[^0-9A-Za-z_]/g, '_');
  return /^\d/.test(name) ? `_${name}` : name;
}

/** Makes Apple's analytics file: sections of texts with their lengths, the model's hash among them. */
async function analytics(modelFile: string): Promise<Uint8Array> {
  const sections = [
    ['NeuralNetworkModelDetails', ['containsCustomLayer', '0'], ['modelDimension', '0']],
    ['SpecificationDetails', ['modelHash', await hashFile(modelFile)], ['modelName', parse(modelFile).name]],
  ] as const;
  const parts = sections.flatMap(([name, ...entries]) => [
    ...lengthAndText(name),
    ...uint64(entries.length),
    ...entries.flat().flatMap(lengthAndText),
  ]);
  return Uint8Array.from(parts);
}

function lengthAndText(text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  return [...uint64(bytes.length), ...bytes];
}

function uint64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

async function hashFile(path: string): Promise<string> {
  const file = await openFile(path);
  try {
    const hash = createHash('sha256');
    for (let at = 0; at < file.size; at += BLOCK_BYTES) {
      const block = new Uint8Array(Math.min(BLOCK_BYTES, file.size - at));
      await file.read(block, at);
      hash.update(block);
    }
    return hash.digest('base64');
  } finally {
    await file.close();
  }
}

async function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(path, (sink) => sink.write(bytes, 0));
}

/** Writes pieces of text as they come, many at once. */
async function writePieces(
  path: string,
  pieces: Iterable<string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  await writeFile(path, async (sink) => {
    let at = 0;
    let waiting = '';
    const flush = async (): Promise<void> => {
      throwIfInterrupted(signal);
      const bytes = new TextEncoder().encode(waiting);
      await sink.write(bytes, at);
      at += bytes.length;
      waiting = '';
    };
    for (const piece of pieces) {
      waiting += piece;
      if (waiting.length >= BLOCK_BYTES) await flush();
    }
    await flush();
  });
}
