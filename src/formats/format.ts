import { basename, dirname, parse, resolve } from 'node:path';
import { COREAI_FOLDER } from './coreai/apple-folder.ts';
import type { CoreAiFacts } from './coreai/coreai-facts.ts';
import type { CoreMlFacts } from './coreml/coreml-facts.ts';
import type { OnnxFacts } from './onnx/onnx-facts.ts';

/** The formats that models are written in and read from. */
export const formatNames = ['onnx', 'mlpackage', 'mlmodelc', 'aimodel'] as const;

/** A format that a model is in: ONNX, a Core ML package, a compiled Core ML model, or a Core AI asset. */
export type Format = (typeof formatNames)[number];

/** Endings of file and folder names, by format. */
export const endings: { readonly [F in Format]: `.${string}` } = {
  onnx: '.onnx',
  mlpackage: '.mlpackage',
  mlmodelc: '.mlmodelc',
  aimodel: '.aimodel',
};

/** Facts that only models of one format have, by format. */
export interface OwnFacts {
  readonly onnx: OnnxFacts;
  readonly mlpackage: CoreMlFacts;
  readonly mlmodelc: CoreMlFacts;
  readonly aimodel: CoreAiFacts;
}

/** Targets of a conversion: kinds of models, each with all that its consumers need. */
export const targetNames = ['onnx', 'coreml', 'coreai'] as const;

export type TargetName = (typeof targetNames)[number];

/** Targets that are written where none is asked for. */
export const defaultTargets = ['onnx', 'coreml'] as const satisfies readonly TargetName[];

/** The format that each target writes. */
export const writtenFormats: { readonly [T in TargetName]: Format } = {
  onnx: 'onnx',
  coreml: 'mlpackage',
  coreai: 'aimodel',
};

/** The folder in which a conversion lays each target's artifacts, relative to the output; clients have others beside it. */
export const artifactFolders: { readonly [T in TargetName]: string } = {
  onnx: 'onnx',
  coreml: '',
  coreai: COREAI_FOLDER,
};

/** The format whose ending a path has; `undefined` for another's, or none. */
export function formatOfEnding(path: string): Format | undefined {
  const { ext } = parse(resolve(path));
  return formatNames.find((format) => endings[format] === ext);
}

/** The target whose artifacts have each format. */
export const targetOfFormat: { readonly [F in Format]: TargetName } = {
  onnx: 'onnx',
  mlpackage: 'coreml',
  mlmodelc: 'coreml',
  aimodel: 'coreai',
};

/** The target of an artifact by its path; an ONNX model is a folder without an ending. */
export function targetOf(path: string): TargetName {
  return targetOfFormat[formatOfEnding(path) ?? 'onnx'];
}

/** Where a model is, as an absolute path: a `model.onnx` is what its folder is, with the config beside it. */
export function modelPlace(path: string): string {
  return resolve(basename(path) === 'model.onnx' ? dirname(path) : path);
}

/** Name of a model by its path, without the ending of its format; a `model.onnx` has the name of its folder. */
export function modelName(path: string): string {
  const place = modelPlace(path);
  const format = basename(path) === 'model.onnx' ? undefined : formatOfEnding(place);
  return format ? basename(place, endings[format]) : basename(place);
}
