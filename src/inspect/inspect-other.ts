import { basename, dirname, join, resolve } from 'node:path';
import { exists } from '../io/disk.ts';
import { pictureKind } from '../io/picture-kind.ts';
import { sniff } from '../io/sniff.ts';
import { formatBytes } from '../text.ts';
import type { OtherInspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';

const whatIsInspected =
  'Give a checkpoint (the folder with model_index.json), a .safetensors, an .onnx, a .mlpackage, a .mlmodelc or an .aimodel.';

/** Parts of models, by name: people point at them when they mean the whole. */
const parts: readonly {
  readonly name: RegExp;
  readonly what: string;
  /** What to do where the whole is not found. */
  readonly advice: string;
  /** Where the whole is, if it is there. */
  readonly whole: (path: string) => string | undefined;
}[] = [
  {
    name: /\.onnx_data(_\d+)?$|\.onnx\.data$/,
    what: 'the weights of an ONNX model, without the model',
    advice: 'Copy the .onnx file that it belongs to beside it.',
    whole: (path) => path.replace(/(_data(_\d+)?|\.data)$/, ''),
  },
  {
    name: /\.(mlmodel|mil)$|^(weight|coremldata)\.bin$/,
    what: 'a part of a Core ML model',
    advice: 'Give the folder whose name ends in .mlpackage or .mlmodelc.',
    whole: (path) => /^.*\.(mlpackage|mlmodelc)(?=[/\\])/.exec(path)?.[0],
  },
  {
    name: /^main\.(mlirb|hash)$/,
    what: 'a part of a Core AI asset',
    advice: 'Give the folder whose name ends in .aimodel.',
    whole: (path) => /^.*\.aimodel(?=[/\\])/.exec(path)?.[0],
  },
  {
    name: /^(model_index|config|(scheduler|tokenizer|preprocessor)_config|tokenizer|vocab|Manifest|metadata|sdconvert)\.json$|^merges\.txt$/,
    what: 'a part of a model',
    advice: 'Give the folder that it belongs to.',
    whole: dirname,
  },
];

/** Describes a file that is no model, by its first bytes or its name. Throws what looking for the whole throws. */
export async function inspectOtherFile(
  path: string,
  byteLength: number,
  start: Uint8Array,
): Promise<OtherInspection> {
  const size = { size: formatBytes(byteLength) };
  if (byteLength === 0)
    return other(path, 'empty', size, 'The download or copy was interrupted: download or copy it again.');
  const finding = sniff(start);
  if (finding) return other(path, finding.what, { ...size, ...pointerDetails(start) }, finding.advice);
  const kind = pictureKind(start);
  if (kind !== undefined) return other(path, kind, size, 'Pictures are read as PNG: save it as one.');
  const part = parts.find(({ name }) => name.test(basename(path)));
  if (!part) return other(path, 'of a kind that is not known', size, whatIsInspected);
  const found = other(path, part.what, size, part.advice);
  const whole = part.whole(path) ?? part.whole(resolve(path));
  return whole !== undefined && (await exists(whole))
    ? { ...found, next: nextCommand('inspect', whole) }
    : found;
}

/** Describes a folder without a model. */
export function inspectOtherFolder(path: string, names: readonly string[]): OtherInspection {
  const weights = names.filter((name) => /\.(safetensors|ckpt|bin|pt|pth|gguf)$/.test(name));
  if (weights[0] !== undefined) {
    const holds = { holds: weights.slice(0, 12).join(', ') };
    const folder = other(path, 'a folder of weight files', holds, '');
    return { ...folder, next: nextCommand('inspect', join(path, weights[0])) };
  }
  const what = names.length === 0 ? 'an empty folder' : 'a folder without a model';
  const holds = names.length === 0 ? {} : { holds: names.slice(0, 12).join(', ') };
  return other(path, what, holds, whatIsInspected);
}

function other(
  path: string,
  what: string,
  details: Readonly<Record<string, string>>,
  advice: string,
): OtherInspection {
  return {
    kind: 'other',
    path,
    problems: [`${basename(resolve(path))} is ${what}.`],
    details,
    next: { advice },
  };
}

/** The size that a Git-LFS pointer states (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md). */
function pointerDetails(start: Uint8Array): Readonly<Record<string, string>> {
  const [, size] =
    /^version https:\/\/git-lfs.*\nsize (\d+)/s.exec(new TextDecoder('latin1').decode(start)) ?? [];
  return size === undefined ? {} : { 'points to': formatBytes(Number(size)) };
}
