import { basename, dirname, parse, resolve } from 'node:path';
import type { CoreMlFacts } from './coreml/coreml-facts.ts';
import type { OnnxFacts } from './onnx/onnx-facts.ts';

/** The formats that models are written in and read from. */
export const formatNames = ['onnx', 'mlpackage', 'mlmodelc'] as const;

/** A format that a model is in: ONNX, a Core ML package, or a compiled Core ML model. */
export type Format = (typeof formatNames)[number];

/** What the names of files and folders end in, by format. */
export const endings: { readonly [F in Format]: `.${string}` } = {
  onnx: '.onnx',
  mlpackage: '.mlpackage',
  mlmodelc: '.mlmodelc',
};

/** What models of each format tell beyond what all do. */
export interface OwnFacts {
  readonly onnx: OnnxFacts;
  readonly mlpackage: CoreMlFacts;
  readonly mlmodelc: CoreMlFacts;
}

/** What a conversion can be asked to write: a kind of model with all that its consumers need. */
export const targetNames = ['onnx', 'coreml'] as const;

export type TargetName = (typeof targetNames)[number];

/** The format whose ending a path has; `undefined` for another's, or none. */
export function formatOfEnding(path: string): Format | undefined {
  const { ext } = parse(resolve(path));
  return formatNames.find((format) => endings[format] === ext);
}

/** What a model's path calls it: without the ending of its format; a `model.onnx` is called as its folder. */
export function modelName(path: string): string {
  const place = resolve(path);
  if (basename(place) === 'model.onnx') return basename(dirname(place));
  const format = formatOfEnding(place);
  return format ? basename(place, endings[format]) : basename(place);
}
