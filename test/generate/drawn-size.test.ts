import { expect, test } from 'vitest';
import { drawnSize, type WantedSize } from '../../src/generate/drawn-size.ts';
import type { DrawnUnet } from '../../src/generate/drawn-unet.ts';

const free = { size: [64, 64], multiple: 8 } as const;
const fixed = { size: [64, 96], multiple: undefined } as const;
const picture = { path: 'p.png', size: [768, 512] } as const;

type Unet = Pick<DrawnUnet, 'size' | 'multiple'>;

test.each<[string, Unet, Partial<WantedSize>, readonly number[]]>([
  ['its own size', free, {}, [64, 64]],
  ['one side of its own', free, { height: 768 }, [96, 64]],
  ['that of the picture', free, { pictures: [picture] }, [96, 64]],
  ['its own, when it is fixed', fixed, {}, [64, 96]],
  ['its own, when it is fixed and asked for', fixed, { height: 512, width: 768 }, [64, 96]],
])('a UNet draws %s', (_, unet, wanted, latents) => {
  expect(drawnSize(unet, { pictures: [], ...wanted })).toEqual(latents);
});

test.each<[string, Unet, Partial<WantedSize>, string]>([
  [
    'a size that is not fixed',
    fixed,
    { height: 768 },
    'the UNet has a fixed size, which is not 768 × 768.\n  it takes  512 × 768',
  ],
  ['more than a machine holds', free, { height: 1e6, width: 1e6 }, '1000000 × 1000000 pixels is too large'],
  [
    'no multiple',
    free,
    { width: 520 },
    'the UNet cannot draw 512 × 520: height and width must be multiples of 64.',
  ],
  ['nothing', free, { width: 0 }, 'the UNet cannot draw 512 × 0'],
  ['half a pixel', free, { height: 0.5 }, 'the UNet cannot draw 0.5 × 512'],
  [
    'a picture of no multiple',
    free,
    { pictures: [{ path: 'p.png', size: [100, 64] }] },
    'p.png has a size that the UNet cannot draw',
  ],
  [
    'a picture of another size',
    free,
    { pictures: [picture], height: 512 },
    'p.png does not have the size of the picture to generate.',
  ],
  [
    'a mask of another size',
    free,
    { pictures: [picture, { path: 'm.png', size: [64, 64] }] },
    'm.png does not have the size of the picture to generate.',
  ],
  [
    'a picture beside a fixed size',
    fixed,
    { pictures: [picture] },
    'p.png does not have the size of the picture to generate.',
  ],
])('%s is refused', (_, unet, wanted, sentence) => {
  expect(() => drawnSize(unet, { pictures: [], ...wanted })).toThrow(sentence);
});
