import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { irFacts } from '../../src/bundle/profiles/ir-facts.ts';
import { verify } from '../../src/commands/verify.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Folders of OpenVINO's IR, as its serializer writes it; CI holds real ones against the same rules. */

const at = temporaryFolder();

function write(name: string, content: string | Uint8Array): void {
  mkdirSync(dirname(at(`ir/${name}`)), { recursive: true });
  writeFileSync(at(`ir/${name}`), content);
}

/** An IR with a weight of four numbers between its inputs and its output. */
function model(network: string, inputs: Readonly<Record<string, string>>, output: string): void {
  const parameters = Object.entries(inputs).map(([name, data], id) =>
    layer(id, name, 'Parameter', `<data ${data} />`, name),
  );
  const weight = layer(
    7,
    'weight',
    'Const',
    '<data element_type="f32" shape="4" offset="16" size="16" />',
    '',
  );
  const sum = layer(8, 'Add_8', 'Add', '<data auto_broadcast="numpy" />', `hidden,${output}`);
  const layers = [...parameters, weight, sum].join('\n');
  write(
    `${network}/openvino_model.xml`,
    `<?xml version="1.0"?>\n<net name="a" version="11"><layers>${layers}</layers></net>`,
  );
  write(`${network}/openvino_model.bin`, new Uint8Array(32));
  write(`${network}/config.json`, '{}');
}

function layer(id: number, name: string, type: string, data: string, names: string): string {
  return `<layer id="${id}" name="${name}" type="${type}" version="opset1">${data}<output><port id="0" precision="FP32" names="${names}"><dim>-1</dim></port></output></layer>`;
}

const sample = 'shape="?,4,?,?" element_type="f32"';
const text = 'shape="?,77,768" element_type="f32"';

beforeEach(() => {
  rmSync(at('ir'), { recursive: true, force: true });
  const timestep = 'shape="1" element_type="i64"';
  model('unet', { sample, timestep, encoder_hidden_states: text }, 'out_sample');
  model('text_encoder', { input_ids: 'shape="?,77" element_type="i64"' }, 'last_hidden_state');
  model('vae_decoder', { latent_sample: sample }, 'sample');
  for (const ending of ['xml', 'bin']) write(`tokenizer/openvino_tokenizer.${ending}`, '');
  write('scheduler/scheduler_config.json', '{"_class_name": "EulerDiscreteScheduler"}');
  write('model_index.json', JSON.stringify(index));
});

const index = {
  _class_name: 'StableDiffusionPipeline',
  text_encoder: ['transformers', 'CLIPTextModel'],
  unet: ['diffusers', 'UNet2DConditionModel'],
  vae: ['diffusers', 'AutoencoderKL'],
};

async function problems(): Promise<readonly string[]> {
  return (await verify({ path: at('ir'), clients: ['openvino'] })).problems;
}

test('a folder of IR as OpenVINO GenAI takes it passes', async () => {
  expect(await problems()).toEqual([]);
});

test('what GenAI would refuse is named', async () => {
  const timestep = 'shape="" element_type="f32"';
  model('unet', { sample, timestep, encoder_hidden_states: text }, 'noise_pred');
  truncateSync(at('ir/vae_decoder/openvino_model.bin'), 31);
  rmSync(at('ir/text_encoder/openvino_model.bin'));
  rmSync(at('ir/tokenizer/openvino_tokenizer.xml'));
  write('scheduler/scheduler_config.json', '{"_class_name": "DPMSolverMultistepScheduler"}');
  expect(await problems()).toEqual(
    [
      'unet has no output out_sample.',
      'unet: timestep float32 [], and openvino takes timestep int64 [1].',
      'text_encoder: its weights are missing: there is no openvino_model.bin.',
      'vae_decoder: its weights are cut short: openvino_model.bin has 31 bytes, 32 are needed.',
      'scheduler/scheduler_config.json names DPMSolverMultistepScheduler, which openvino has not.',
      'tokenizer/openvino_tokenizer.xml is missing.',
    ].map((problem) => `openvino: ${problem}`),
  );
});

test('an index that leaves out what GenAI reads of it is named', async () => {
  write('model_index.json', JSON.stringify({ ...index, _class_name: undefined, vae: [null, null] }));
  write('scheduler/scheduler_config.json', '{}');
  write('unet/config.json', '[]');
  expect(await problems()).toEqual(
    [
      'model_index.json names no pipeline, and openvino takes StableDiffusionPipeline, StableDiffusionXLPipeline, LatentConsistencyModelPipeline.',
      'model_index.json names nothing for vae instead of AutoencoderKL.',
      'scheduler/scheduler_config.json names no scheduler (_class_name).',
      'unet/config.json holds no JSON object, and openvino reads one.',
    ].map((problem) => `openvino: ${problem}`),
  );
});

test('the UNet of Stable Diffusion XL needs a second text encoder and tokenizer', async () => {
  const timestep = 'shape="?" element_type="i64"';
  const pooled = {
    text_embeds: 'shape="?,1280" element_type="f32"',
    time_ids: 'shape="?,6" element_type="f32"',
  };
  model('unet', { sample, timestep, encoder_hidden_states: text, ...pooled }, 'out_sample');
  expect(await problems()).toEqual([
    'openvino: text_encoder_2/openvino_model.xml is missing.',
    'openvino: tokenizer_2/openvino_tokenizer.xml is missing.',
    'openvino: tokenizer_2/openvino_tokenizer.bin is missing.',
  ]);
});

test('what is no IR has none of the inputs', async () => {
  write('unet/openvino_model.xml', '<layer '.repeat(1e5));
  expect((await problems())[0]).toBe('openvino: unet has no input sample.');
});

test('an IR is read in a time that its length bounds, whatever is in it', () => {
  expect(irFacts(`<layer ${'x'.repeat(200_000)}>`)).toEqual({ inputs: [], names: [], dataBytes: 0 });
  const { names } = irFacts(layer(0, 'a', 'Add', '', ','.repeat(200_000)));
  expect(names).toHaveLength(200_001);
});

test.each(['-1', 'NaN', '1e999', '9'.repeat(400)])('%s is no number of bytes', (offset) => {
  const data = `<data offset="${offset}" size="16" />`;
  expect(irFacts(layer(0, 'w', 'Const', data, '')).dataBytes).toBe(16);
});

test('what a client reads of a file may be of any kind', async () => {
  write('scheduler/scheduler_config.json', '{"_class_name": {"toString": 1}}');
  write('model_index.json', '{"_class_name": {"toString": 1}}');
  expect((await problems())[0]).toMatch(
    /^openvino: model_index\.json names \{ toString: 1 \}, and openvino takes /,
  );
});
