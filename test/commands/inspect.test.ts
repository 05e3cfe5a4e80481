import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { inspect } from '../../src/commands/inspect.ts';
import { NotFoundError } from '../../src/errors.ts';
import { encodePng } from '../../src/generate/png.ts';
import { describe } from '../../src/inspect/describe.ts';
import { withTexts } from '../../src/io/png-text.ts';
import { sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

async function inspectBytes(name: string, content: string | Uint8Array) {
  writeFileSync(at(name), content);
  const inspection = await inspect({ path: at(name) });
  if (inspection.kind !== 'other') throw new Error(`it was taken for ${inspection.kind}`);
  return inspection;
}

const pointer = `version https://git-lfs.github.com/spec/v1
oid sha256:6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa
size 5119840
`;

test.for([
  ['Git-LFS pointer', 'model.safetensors', pointer, 'git lfs pull'],
  ['web page', 'model.safetensors', '<!DOCTYPE html><html></html>', 'download it again'],
  ['cut short or damaged', 'model.ckpt', 'PK\x03\x04archive/data.pkl', 'again'],
  ['not a valid PyTorch file', 'model.ckpt', Uint8Array.of(0x80, 2, 0x7d), 'again'],
  ['not a valid GGUF file', 'model.gguf', 'GGUF\x03\x00\x00\x00', 'again'],
  ['empty', 'model.onnx', '', 'again'],
  ['not an ONNX model', 'model.onnx', 'this is no protobuf message', 'download it again'],
  ['weights of an ONNX model', 'alone.onnx_data', Uint8Array.of(1, 2, 3), '.onnx file'],
  ['part of a Core ML model', 'model.mlmodel', Uint8Array.of(8, 7, 18, 0), '.mlpackage'],
  ['part of a Core AI asset', 'main.hash', Uint8Array.of(1, 2, 3), '.aimodel'],
  ['a JPEG picture', 'picture.jpg', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0), 'save it as'],
  ['kind that is not known', 'picture.png', Uint8Array.of(0x89, 0x50, 0x4e, 0x47), '.mlpackage'],
] as const)(
  'a file that is “%s” is described as that, with what to do',
  async ([what, name, content, todo]) => {
    const { problems, next } = await inspectBytes(name, content);
    expect(problems).toEqual([expect.stringMatching(/^[^\n]+[^.]\.$/)]);
    expect(problems[0]).toContain(what);
    expect(next).toEqual({ advice: expect.stringContaining(todo) });
  },
);

test('a configuration alone leads to the folder that it belongs to', async () => {
  const { problems, next } = await inspectBytes('config.json', '{}');
  expect(problems).toEqual(['config.json is a part of a model.']);
  expect(next).toEqual({ command: `sdconvert inspect ${at('.').replace(/\/\.?$/, '')}` });
});

test('a Git-LFS pointer tells the size of what it points to', async () => {
  expect((await inspectBytes('pointer.safetensors', pointer)).details).toMatchObject({
    'points to': '5.1 MB',
  });
});

test('a folder without a model says what it holds', async () => {
  mkdirSync(at('empty'));
  mkdirSync(at('pictures/holiday'), { recursive: true });
  expect(await inspect({ path: at('empty') })).toMatchObject({
    kind: 'other',
    problems: ['empty is an empty folder.'],
  });
  expect(await inspect({ path: at('pictures') })).toMatchObject({
    problems: ['pictures is a folder without a model.'],
    details: { holds: 'holiday' },
  });
});

test('a path that leads nowhere is refused', async () => {
  await expect(inspect({ path: at('nothing') })).rejects.toThrow(NotFoundError);
});

test('the text begins with what is wrong and ends with what to do', async () => {
  const text = describe(await inspectBytes('pointer.safetensors', pointer));
  expect(text.split('\n\n')).toEqual([
    'pointer.safetensors is a Git-LFS pointer, not the weights themselves.',
    expect.stringMatching(/^size +132 B\npoints to +5.1 MB$/),
    expect.stringMatching(/^Run `git lfs pull`/),
  ]);
});

test('a picture tells how it was drawn', async () => {
  const pixels = { width: 2, height: 3, channels: 3, data: new Uint8Array(18) } as const;
  writeFileSync(
    at('drawn.png'),
    withTexts(encodePng(pixels), { parameters: 'a cat\nSteps: 4', Software: 'ünï→' }),
  );
  const drawn = await inspect({ path: at('drawn.png') });
  expect(drawn).toMatchObject({
    ...{ kind: 'picture', width: 2, height: 3, problems: [] },
    texts: { parameters: 'a cat\nSteps: 4', Software: 'ünï→' },
  });
  expect(describe(drawn)).toContain('parameters\n  a cat\n  Steps: 4\n');
  writeFileSync(at('plain.png'), encodePng(pixels));
  const { problems } = await inspect({ path: at('plain.png') });
  expect(problems).toEqual(['plain.png does not say how it was drawn.']);
});

test('a checkpoint and a conversion list the schedulers that can replace theirs', async () => {
  const checkpoint = await inspect({ path: sdShapes });
  expect(checkpoint).toMatchObject({ scheduler: 'DPMSolverMultistepScheduler' });
  expect(describe(checkpoint)).toMatch(/DPMSolverMultistepScheduler, or ddim ddpm .* euler_a euler .* unipc/);
  mkdirSync(at('converted/onnx/scheduler'), { recursive: true });
  mkdirSync(at('converted/onnx/unet'));
  writeFileSync(at('converted/onnx/unet/model.onnx'), 'any');
  writeFileSync(at('converted/onnx/scheduler/scheduler_config.json'), '{"_class_name": "EDMEulerScheduler"}');
  expect(await inspect({ path: at('converted') })).toMatchObject({
    ...{ kind: 'artifacts', scheduler: 'EDMEulerScheduler', compatibleSchedulers: ['edm_dpm++'] },
  });
});
