import { join } from 'node:path';
import { openMlModelC } from '../../formats/coreml/compiled/read-bundle.ts';
import { mainFunction } from '../../formats/coreml/mil/mil-model.ts';
import { openMlPackage } from '../../formats/coreml/package/read-package.ts';
import { type CardFile, isCoreMl } from '../card.ts';

/** Rank of attention scores that have no axis of their own for heads: [B·heads, S, S]. */
const FLAT = 3;

/** The Core ML text encoders whose attention scores have three axes, by path. Throws as reading their programs does. */
export async function flatAttention(folder: string, files: readonly CardFile[]): Promise<string[]> {
  const encoders = files.filter(
    (file) => isCoreMl(file) && file.problem === null && file.network?.startsWith('text_encoder'),
  );
  const found: string[] = [];
  for (const { path, format } of encoders) {
    const open = format === 'mlpackage' ? openMlPackage : openMlModelC;
    const model = await open(join(folder, path));
    try {
      const { operations } = mainFunction(model).block;
      const isFlat = operations.some(
        ({ type, outputs: [scores] }) => type === 'softmax' && scores?.type?.tensorType?.rank === FLAT,
      );
      if (isFlat) found.push(path);
    } finally {
      await model.close();
    }
  }
  return found;
}
