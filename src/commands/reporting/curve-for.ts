import { join } from 'node:path';
import { FileFormatError } from '../../errors.ts';
import { quantizableWeights } from '../../formats/onnx/quantize-onnx.ts';
import { openOnnx } from '../../formats/onnx/read-onnx.ts';
import { withArtifact } from '../../formats/open.ts';
import { exists } from '../../io/disk.ts';
import { excerpt } from '../../io/error-text.ts';
import { type Analysis, openAnalysis } from '../../mixed-bits/analysis.ts';
import { plainName } from '../../quantize/plan.ts';
import type { Card, CardFile } from '../../report/card.ts';
import { curveOf } from '../../report/facts/curve.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { ReportRequest } from './request.ts';

/**
 * The curve of a file of `analyze`: the one that was named, or the one that `analyze` writes beside the UNet. Throws as `openAnalysis`
 * does, and `FileFormatError` for that of another model.
 */
export async function curveFor(
  { folder, analysis: named }: ReportRequest,
  layers: Card['layers'],
  files: readonly CardFile[],
): Promise<Card['curve']> {
  const usual = join(folder, 'onnx', 'unet.analysis.json');
  const path = named ?? ((await exists(usual)) ? usual : undefined);
  if (path === undefined) return null;
  const analysis = await openAnalysis(path);
  const parts = files.filter(({ format, network }) => format === 'onnx' && network === 'unet');
  await refuseAnothers(path, analysis, folder, parts);
  const own = layers.find(({ network, path: place }) => network === 'unet' && place.startsWith('onnx/'));
  const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return curveOf(analysis, own && { layers: own, bytes });
}

/** Names tell, not hashes: the model that was analysed has other bits than one that was made by it. */
async function refuseAnothers(
  path: string,
  { weights }: Analysis,
  folder: string,
  parts: readonly CardFile[],
): Promise<void> {
  if (parts.some(({ problem }) => problem !== null)) return;
  const known = new Map<string, number | undefined>();
  for (const part of parts)
    for (const [name, elements] of await weightsIn(join(folder, part.path))) known.set(name, elements);
  const isOwn = (name: string, elements: number) =>
    known.has(plainName(name)) && (known.get(plainName(name)) ?? elements) === elements;
  const other = [...weights].find(([name, { elements }]) => !isOwn(name, elements));
  if (weights.size > 0 && (known.size === 0 || other === undefined)) return;
  throw new FileFormatError({
    problem: `${path} is not of this conversion's UNet.`,
    details: {
      found:
        other === undefined
          ? 'no weights'
          : `a weight ${excerpt(other[0])} of ${other[1].elements} elements, which the UNet does not have`,
    },
    advice: 'Name the analysis of this model, or of the one that it was made of.',
  });
}

/** The names of weights that have, or could have, fewer bits; elements where they are whole. */
async function weightsIn(path: string): Promise<readonly (readonly [string, number | undefined])[]> {
  return withArtifact(path, async (stored) => {
    const model = await openOnnx(stored.path);
    try {
      const forms = [...(await stored.quantized()).keys()].map(
        (name) => [plainName(name), undefined] as const,
      );
      const whole = quantizableWeights(model).map(
        ({ name, shape }) => [plainName(name), elementCount(shape)] as const,
      );
      return [...forms, ...whole];
    } finally {
      await model.close();
    }
  });
}
