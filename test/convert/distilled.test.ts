import { describe, expect, test } from 'vitest';
import { requireComponent } from '../../src/checkpoint/checkpoint.ts';
import { distilledTitle } from '../../src/checkpoint/family.ts';
import { originalUnetNames } from '../../src/checkpoint/lora/original-unet-names.ts';
import { readSingleFile } from '../../src/checkpoint/single-file/open-single-file.ts';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import { printGraph } from '../../src/graph/print.ts';
import { type FullSizeModel, fullSizeCheckpoint } from '../support/full-size.ts';
import { headerFile } from '../support/single-file.ts';

/** Titles, and parameters as their authors publish them. */
const distilled = [
  ['bk-sdm-base', 'BK-SDM base', 579_384_964],
  ['bk-sdm-small', 'BK-SDM small', 482_346_884],
  ['bk-sdm-tiny', 'BK-SDM tiny', 323_384_964],
  ['ssd-1b', 'SSD-1B', 1_331_334_404],
  ['segmind-vega', 'Segmind Vega', 745_225_604],
  ['koala-700m', 'KOALA-700M', 782_822_724],
  ['koala-1b', 'KOALA-1B', 1_161_184_324],
] as const;

const whole = { attention: 'ORIGINAL', sizes: {}, models: ['unet'] } as const;

/** A UNet's shapes under the names of the original implementation. */
function originalShapes(model: FullSizeModel): Record<string, readonly number[]> {
  const weights = [...requireComponent(fullSizeCheckpoint(model), 'unet').weights.values()];
  const moduleOf = (name: string) => name.replace(/\.\w+$/, '');
  const originals = originalUnetNames(weights.map(({ name }) => moduleOf(name)));
  return Object.fromEntries(
    weights.map(({ name, shape }) => {
      const module = moduleOf(name);
      return [(originals.get(module) ?? module) + name.slice(module.length), shape];
    }),
  );
}

describe.each(distilled)('%s', (model, title, parameters) => {
  test('it has the parameters that are published, and is called by its name', () => {
    const { weights } = requireComponent(fullSizeCheckpoint(model), 'unet');
    const sizes = [...weights.values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
    expect(sizes.reduce((a, b) => a + b, 0)).toBe(parameters);
    expect(distilledTitle(weights)).toBe(title);
  });

  test.each(['model.diffusion_model.', ''])(
    'its single file with the original names behind %j is the UNet that was published',
    async (prefix) => {
      const shapes = Object.entries(originalShapes(model)).map(([name, shape]) => [prefix + name, shape]);
      const checkpoint = await readSingleFile(headerFile(Object.fromEntries(shapes)));
      const published = fullSizeCheckpoint(model);
      for (const contract of [optimumContract, appleContract]) {
        const [own, folder] = [checkpoint, published].map((each) =>
          convert(each, { ...whole, contract }).map(({ graph }) => printGraph(graph)),
        );
        expect(own).toHaveLength(1);
        expect(own).toEqual(folder);
      }
    },
  );
});

test.each(['sd15', 'sd21', 'sdxl', 'sdxl-refiner'] as const)('%s is not distilled', (model) => {
  expect(distilledTitle(requireComponent(fullSizeCheckpoint(model), 'unet').weights)).toBeUndefined();
});
