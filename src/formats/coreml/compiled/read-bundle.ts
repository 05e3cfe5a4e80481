import { join } from 'node:path';
import { FileFormatError } from '../../../errors.ts';
import { pathKind } from '../../../io/disk.ts';
import { notFound } from '../../../io/not-found.ts';
import { FLEXIBLE_SHAPES } from '../mil/flexible-shapes.ts';
import { featuresByFunction, type MilModel, readDescribingFile } from '../mil/mil-model.ts';
import type { FeatureDescription, MilFunction, ModelDescription, Program, Value } from '../mil/mil-schema.ts';
import { parseMilText } from '../mil/parse-mil-text.ts';
import { verifyProgram } from '../mil/verify-program.ts';
import { openWeightFiles } from '../package/weight-blobs.ts';
import { readContainer } from './compiled-container.ts';

/**
 * Opens a compiled Core ML model (`.mlmodelc`), ours or Apple's, as the package it was made of. Throws `NotFoundError`
 * for a missing file, `FileFormatError` for a damaged one, and `UnsupportedModelError` for another kind of model than an
 * ML Program.
 */
export async function openMlModelC(path: string): Promise<MilModel> {
  if ((await pathKind(path)) === undefined) throw notFound(path);
  const containerFile = join(path, 'coremldata.bin');
  if ((await pathKind(containerFile)) !== 'file') {
    throw new FileFormatError({
      problem: `${path} is not a compiled Core ML model: it has no coremldata.bin.`,
      advice: 'Give the folder whose name ends in .mlmodelc; a zipped one must be unpacked first.',
    });
  }
  const container = readContainer(await readDescribingFile(containerFile), containerFile);
  const textFile = join(path, 'model.mil');
  const program = asInPackage(parseMilText(await readUtf8(textFile), textFile), container.description);
  verifyProgram(program, textFile);
  const weights = await openWeightFiles(program, path);
  return { path, ...container, program, weights, close: weights.close };
}

async function readUtf8(file: string): Promise<string> {
  return new TextDecoder().decode(await readDescribingFile(file));
}

/** Undoes a compiler's changes: its signature, the sorted inputs, and the shapes repeated from the description. */
function asInPackage(program: Program, description: ModelDescription): Program {
  const featuresOf = featuresByFunction({ description, program });
  const functions = Object.entries(program.functions).map(([name, fn]): [string, MilFunction] => {
    const { input, state } = featuresOf(name);
    const { [FLEXIBLE_SHAPES]: _shapes, ...attributes } = fn.attributes;
    return [name, { ...fn, inputs: inOrder(fn.inputs, [...input, ...state]), attributes }];
  });
  const { buildInfo, ...attributes } = program.attributes;
  const unsigned = buildInfo && withoutSignature(buildInfo);
  return {
    ...program,
    functions: Object.fromEntries(functions),
    attributes: unsigned ? { ...attributes, buildInfo: unsigned } : attributes,
  };
}

function inOrder<T extends { readonly name: string }>(
  inputs: readonly T[],
  order: readonly FeatureDescription[],
): T[] {
  const places = new Map(order.map(({ name }, place) => [name, place]));
  return inputs.toSorted((a, b) => (places.get(a.name) ?? 0) - (places.get(b.name) ?? 0));
}

/** `buildInfo` without the compiler's entries; `undefined` when there are no others. */
function withoutSignature(buildInfo: Value): Value | undefined {
  const entries = buildInfo.immediateValue?.dictionary?.values ?? [];
  const values = entries.filter(
    ({ key }) => !key?.immediateValue?.tensor?.strings?.values[0]?.startsWith('coremlc-'),
  );
  return values.length ? { ...buildInfo, immediateValue: { dictionary: { values } } } : undefined;
}
