import { mkdirSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { analyze } from '../../src/commands/analyze.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import { smallNetwork, smallNumbers } from '../quantize/small-network.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const rest = { analysis: 'never-written.json', prompts: ['a star'], force: false };

beforeAll(() =>
  writeOnnx(buildOnnxModel(smallNetwork(smallNumbers()), { model: 'small' }), at('small'), () => {}),
);

test('what is no UNet cannot be measured, and the error says what is', async () => {
  await expect(analyze({ ...rest, artifact: at('small') })).rejects.toThrow(
    /sample, timestep, encoder_hidden_states/,
  );
});

test('what is not ONNX cannot be measured; its recipe can be', async () => {
  mkdirSync(at('unet.mlpackage'));
  await expect(analyze({ ...rest, artifact: at('unet.mlpackage') })).rejects.toThrow(
    /is not an ONNX UNet[\s\S]*--recipe/,
  );
});

test('what cannot be reached, or is no analysis, is refused before anything is drawn', async () => {
  const request = { ...rest, artifact: at('small') };
  for (const psnr of [-1, 0, 1e9])
    await expect(analyze({ ...request, output: at('x'), target: { psnr } })).rejects.toThrow(
      `--target-psnr ${psnr} is none that a mixture of bits could have.`,
    );
  const nowhere = { output: at('small/model.onnx/x'), target: { bytes: 1000 } };
  await expect(analyze({ ...request, ...nowhere })).rejects.toThrow('is a file');
  mkdirSync(at('folder'));
  await expect(analyze({ ...request, analysis: at('folder') })).rejects.toThrow('folder is a folder');
  await expect(analyze({ ...request, analysis: at('small/model.onnx/x.json') })).rejects.toThrow('is a file');
});

test('an output that exists is refused before anything is measured', async () => {
  const request = { ...rest, artifact: at('small'), output: at(), target: { bytes: 1000 } };
  await expect(analyze(request)).rejects.toThrow(/already exists/);
});
