import { describe, expect, test } from 'vitest';
import { readPlan } from '../../page/ui/read-plan.ts';

const sha256 = 'a'.repeat(64);
const file = { path: 'models/unet/model.onnx', byteLength: 1, sha256 };
const plan = {
  title: '<img src=x onerror=alert(1)>',
  unet: { family: 'sd1', size: [64, 64], multiple: 8 },
  latents: { channels: 4, pixels: 8, scale: { factor: 0.18215, shift: 0 } },
  models: { unet: { model: file, data: [{ ...file, name: 'model.onnx_data' }], isFloat16: true } },
  tokenizers: { text_encoder: file },
  scheduler: { _class_name: 'PNDMScheduler' },
  schedulers: ['pndm'],
  zerosForEmptyPrompt: false,
  memory: { wasm: 1e9, webGpu: 1e9 },
  demo: { prompt: 'a red circle', seed: 7, steps: 20, guidanceScale: 7.5, picture: file },
};

/** The sentence that refuses a plan with something else in it. */
function refusalOf(change: object): string {
  try {
    readPlan(JSON.stringify({ ...plan, ...change }));
    return 'accepted';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe('the plan of a page is checked before anything is fetched, allocated or shown', () => {
  test('one that sdconvert web wrote is read as it is', () => {
    expect(readPlan(JSON.stringify(plan))).toEqual(plan);
    const { demo: _, ...withoutDemo } = plan;
    expect(readPlan(JSON.stringify(withoutDemo))).toEqual(withoutDemo);
  });

  test.each(['', '{', 'null', '[]', '"x"', '<!doctype html>', `${'['.repeat(100_000)}`])(
    'no plan: %j',
    (text) => {
      expect(() => readPlan(text)).toThrow(/^plan\.json is .*make the page again with sdconvert web --force/);
    },
  );

  test.each([
    '../../secret',
    '/etc/passwd',
    '//evil.example/x',
    'https://evil.example/x',
    'a//b',
    './a',
    '',
    'a/../../b',
    '\ud800',
  ])('a path out of the folder of the page: %j', (path) => {
    const models = { unet: { ...plan.models.unet, model: { ...file, path } } };
    const start = 'plan.json is damaged, or not of this version: ';
    expect(refusalOf({ models })).toContain(`${start}models.unet.model.path is not a path`);
    const tokenizers = { text_encoder: { ...file, path } };
    expect(refusalOf({ tokenizers })).toContain(`${start}tokenizers.text_encoder.path is not a path`);
  });

  const noText = { toString: 1, valueOf: 1 };
  test.each([
    [{ title: noText }, 'title is not a text'],
    [{ unet: { ...plan.unet, family: noText } }, 'unet.family is not one of sd1, sd2, sdxl, sdxl-refiner'],
    [{ unet: { ...plan.unet, family: ['sd1'] } }, 'unet.family is not one of'],
    [{ unet: { ...plan.unet, size: [1e9, 8] } }, 'unet.size[0] is not a whole number from 1 to 1,024'],
    [{ unet: { ...plan.unet, size: [8, noText] } }, 'unet.size[1] is not a whole number'],
    [{ unet: { ...plan.unet, size: [8] } }, 'unet.size is not a list of 2'],
    [{ unet: { ...plan.unet, multiple: 0 } }, 'unet.multiple is not a whole number'],
    [{ unet: { ...plan.unet, guidanceChannels: noText } }, 'unet.guidanceChannels is not a whole number'],
    [{ latents: { ...plan.latents, channels: 1e9 } }, 'latents.channels is not a whole number from 1 to 64'],
    [
      { latents: { ...plan.latents, scale: { factor: 0, shift: 0 } } },
      'latents.scale.factor is not a number above',
    ],
    [
      { latents: { ...plan.latents, scale: { factor: 1, shift: 0, mean: [1] } } },
      'latents.scale.mean is not',
    ],
    [{ latents: null }, 'latents is not an object'],
    [{ models: [] }, 'models is not an object'],
    [
      { models: { unet: { ...plan.models.unet, model: { ...file, byteLength: 1e15 } } } },
      'models.unet.model.byteLength is not a whole number',
    ],
    [
      { models: { unet: { ...plan.models.unet, model: { ...file, sha256: '../x' } } } },
      'models.unet.model.sha256 is not a SHA-256',
    ],
    [{ models: { '\n\u202e': 1 } }, 'models."\\n\\u202e" is not an object'],
    [{ scheduler: { _class_name: noText } }, 'scheduler._class_name is not a text'],
    [{ schedulers: Array(100_000).fill('pndm') }, 'schedulers is not a list of at most 1,000'],
    [{ schedulers: [noText] }, 'schedulers[0] is not a text'],
    [{ demo: 1 }, 'demo is not an object'],
    [{ demo: { ...plan.demo, prompt: noText } }, 'demo.prompt is not a text'],
    [{ demo: { ...plan.demo, steps: 1e9 } }, 'demo.steps is not a whole number'],
    [{ memory: { wasm: null, webGpu: 1 } }, 'memory.wasm is not a number'],
  ])('something else in it: %j', (change, wrong) => {
    expect(refusalOf(change)).toContain(wrong);
  });
});
