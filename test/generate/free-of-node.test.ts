import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import * as whole from '../../src/index.ts';
import { bundledForPage } from '../support/bundled-for-page.ts';

const source = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

describe('the pieces that draw, as a page bundles them', () => {
  test('import nothing of Node, directly or through others', async () => {
    const { outside } = await bundledForPage(source('generate/browser.ts'));
    expect(outside).toEqual([]);
  });

  test('run where there is nothing but the language and what the web has', async () => {
    const { code } = await bundledForPage(source('generate/browser.ts'));
    const web = { TextEncoder, TextDecoder, performance, crypto, console };
    const page = createContext({ ...web });
    const drawn = runInContext(`${code}\n(${drawing})(page)`, page);
    // Another realm's objects are of other classes.
    expect(JSON.parse(JSON.stringify(await drawn))).toEqual({
      latents: 16,
      steps: 3,
      texts: { parameters: 'a cat' },
    });
  });

  test('are those of the library', async () => {
    const pieces = await import('../../src/generate/browser.ts');
    expect(whole).toMatchObject(pieces);
  });
});

test('the check sees a Node import behind another file', async () => {
  const { outside } = await bundledForPage(source('generate/read-scheduler.ts'));
  expect(outside).toContain('node:path');
  expect(outside.some((id) => id.startsWith('node:fs'))).toBe(true);
});

/** What a page does: three steps of a UNet that is a formula, and a picture. */
const drawing = async (sdconvert: typeof import('../../src/generate/browser.ts')) => {
  const { createScheduler, createRng, beginWithNoise, denoise, encodePng, withTexts, textsIn } = sdconvert;
  const scheduler = createScheduler({ _class_name: 'EulerDiscreteScheduler' });
  scheduler.setTimesteps(3);
  const rng = createRng('torch', 7);
  const normal = (count: number) => rng.normal(count);
  const beginning = beginWithNoise({ schedulers: [scheduler], shape: [1, 4, 2, 2], normal });
  let steps = 0;
  const predict = async (sample: { readonly data: Float32Array }) => {
    steps += 1;
    return sample.data.map((value) => value / 2);
  };
  const [latents] = await denoise({ ...beginning, predict, normal }, {});
  const picture = { width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) } as const;
  const texts = textsIn(withTexts(encodePng(picture), { parameters: 'a cat' }));
  return { latents: latents?.data.length, steps, texts };
};
