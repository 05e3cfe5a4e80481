import { expect, test } from 'vitest';
import { commandAgain, convertFor } from '../../src/bundle/command-again.ts';
import type { Provenance } from '../../src/formats/provenance.ts';

/** A record of these artifacts, all with these options. */
function record(
  paths: readonly string[],
  options: Readonly<Record<string, unknown>>,
  more: Partial<Provenance> = {},
): Provenance {
  const own = (path: string) => ({
    attention: path.startsWith('onnx') ? 'ORIGINAL' : 'SPLIT_EINSUM',
    precision: 'float16',
    ...options,
  });
  const artifacts = paths.map(
    (path) => [path, { version: '0', source: {}, options: own(path), files: [] }] as const,
  );
  return {
    sdconvert: '0',
    checkpoint: { name: 'sd15', components: {} },
    artifacts: Object.fromEntries(artifacts),
    ...more,
  };
}

const onnx = ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'].map((name) => `onnx/${name}`);
const packages = onnx.map((path) =>
  path.replace('onnx/', 'Stable_Diffusion_version_sd15_').concat('.mlpackage'),
);

test('a conversion with the usual options is named by checkpoint and folder alone', () => {
  expect(commandAgain(record([...onnx, ...packages], {}), 'out').command).toBe(
    'sdconvert convert --model-version sd15 -o out',
  );
});

test('options that are not the usual ones, LoRAs and a revision of the Hub are named', () => {
  const options = {
    attention: 'SPLIT_EINSUM',
    precision: 'float16-weights',
    quantization: { bits: 6 },
    maxChunkBytes: 5e8,
    loras: [{ name: 'style.safetensors', scale: 0.7, sha256: 'ab' }],
    latentHeight: 96,
  };
  const hub = [{ repo: 'org/name', commit: 'abc', files: [] }];
  const { command, note } = commandAgain(
    record(onnx, options, { hub, checkpoint: { name: 'org/name', components: {} } }),
    'out',
  );
  expect(command).toBe(
    'sdconvert convert --model-version org/name --revision abc --target onnx --attention SPLIT_EINSUM --precision float16-weights --quantize-nbits 6 --chunk-unet --max-chunk-size 500000000 --latent-h 96 --lora style.safetensors:0.7 -o out',
  );
  expect(note).toBe('Put in where style.safetensors lies.');
});

test('some networks are named, each once for its chunks', () => {
  expect(
    commandAgain(record(['onnx/unet_chunk1', 'onnx/unet_chunk2'], { maxChunkBytes: 1e9 }), 'out').command,
  ).toBe('sdconvert convert --model-version sd15 --convert-unet --target onnx --chunk-unet -o out');
});

test('a precision that a target or a VAE does not have is that which was asked for', () => {
  const precisions = (of: (path: string) => string) => {
    const pipeline = { latentScale: { factor: 0.13025, shift: 0 } };
    const { artifacts, ...rest } = record([...onnx, ...packages], {}, { pipeline });
    const changed = Object.entries(artifacts).map(([path, each]) => {
      const options = { ...each.options, precision: of(path) };
      return [path, { ...each, options }] as const;
    });
    return commandAgain({ ...rest, artifacts: Object.fromEntries(changed) }, 'out').command;
  };
  expect(precisions((path) => (path.includes('vae') ? 'float32' : 'float16'))).toBe(
    'sdconvert convert --model-version sd15 -o out',
  );
  expect(precisions((path) => (path.startsWith('onnx') ? 'float16-weights' : 'float16'))).toBe(
    'sdconvert convert --model-version sd15 --precision float16-weights -o out',
  );
  expect(precisions(() => 'float32')).toContain('--precision float32');
});

test('what the UNet predicts is named where it is not noise', () => {
  const of = (prediction_type: string) =>
    commandAgain(record(onnx, {}, { pipeline: { scheduler: { prediction_type } } }), 'out');
  expect(of('v_prediction').command).toContain(' --prediction-type v_prediction ');
  expect(of('epsilon').command).not.toContain('--prediction-type');
});

test('other models that it was made of are named, those of the Hub by their commits', () => {
  const hub = [
    { repo: 'org/name', commit: 'abc', files: ['sd.safetensors'] },
    { repo: 'org/vae', commit: 'def', files: ['vae.safetensors'] },
  ];
  const checkpoint = { name: 'org/name/sd', components: {} };
  const made = (origins: Readonly<Record<string, string>>, loras?: object) => {
    const { artifacts, ...rest } = record([...onnx, ...Object.keys(origins)], { loras }, { hub, checkpoint });
    const own = Object.entries(artifacts).map(([path, each]) => [
      path,
      { ...each, options: { ...each.options, origin: origins[path] } },
    ]);
    return commandAgain({ ...rest, artifacts: Object.fromEntries(own) }, 'out');
  };
  const vae = (name: string) => ({ 'onnx/vae_decoder': name, 'onnx/vae_encoder': name });
  expect(made(vae('org/vae/vae'))).toEqual({
    command:
      'sdconvert convert --model-version org/name/sd.safetensors --revision abc --target onnx --custom-vae-version hf://org/vae@def/vae.safetensors -o out',
    note: null,
  });
  const local = made({ ...vae('my-vae'), 'onnx/controlnet': 'canny', 'onnx/controlnet_1': 'depth' }, [
    { name: 'style.safetensors', scale: 0.7, sha256: 'ab' },
  ]);
  expect(local.command).toContain(
    '--convert-controlnet canny depth --target onnx --custom-vae-version my-vae ',
  );
  expect(local.note).toBe('Put in where my-vae, canny, depth, style.safetensors lie.');
  expect(made({ 'onnx/vae_decoder': 'my-vae' })).toMatchObject({
    command: null,
    note: expect.stringContaining('several commands'),
  });
});

test('a variant of the weights is named, by the files that were read', () => {
  const { artifacts, ...rest } = record(onnx, {});
  const read = (name: string) =>
    Object.entries(artifacts).map(([path, each]) => [path, { ...each, source: { [name]: 'ab' } }] as const);
  const of = (name: string) =>
    commandAgain({ ...rest, artifacts: Object.fromEntries(read(name)) }, 'out').command;
  for (const name of [
    'unet/diffusion_pytorch_model.fp16.safetensors',
    'unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors',
    'unet/diffusion_pytorch_model-00001-of-00002.fp16.safetensors',
  ])
    expect(of(name)).toContain(' --variant fp16 ');
  for (const name of [
    'unet/diffusion_pytorch_model.safetensors',
    'unet/diffusion_pytorch_model-00001-of-00002.safetensors',
    'diffusion_pytorch_model.fp16.safetensors', // of another VAE, or a checkpoint in one file
  ])
    expect(of(name)).not.toContain('--variant');
});

test('a client is converted for with the options on record, but those that it does not load', () => {
  const chunks = record(['onnx/unet_chunk1', 'onnx/unet_chunk2'], {
    precision: 'float32',
    maxChunkBytes: 1e9,
  });
  expect(convertFor('optimum', chunks, { output: 'out', replaces: true })).toBe(
    'sdconvert convert --model-version CHECKPOINT --for optimum --precision float32 -o out --force',
  );
  const newer = record(packages, { deployment: 'macOS15', quantization: { bits: 6 } });
  expect(convertFor('swift', newer, { output: 'out', replaces: false })).toBe(
    'sdconvert convert --model-version CHECKPOINT --for swift --min-deployment-target macOS15 --quantize-nbits 6 -o out',
  );
  expect(convertFor('swift', newer, { output: 'out', replaces: true, without: ['deployment'] })).toBe(
    'sdconvert convert --model-version CHECKPOINT --for swift --quantize-nbits 6 -o out --force',
  );
  expect(convertFor('swift', undefined, { replaces: true })).toBe(
    'sdconvert convert --model-version CHECKPOINT --for swift -o OUT',
  );
});

test('a ControlNet beside other networks has them named, for convert would leave them out', () => {
  const commandFor = (...more: readonly string[]) =>
    commandAgain(record([...onnx, ...more], {}), 'out').command;
  expect(commandFor('onnx/controlnet')).toBe(
    'sdconvert convert --model-version sd15 --convert-text-encoder --convert-unet --convert-vae-decoder --convert-vae-encoder --convert-controlnet CONTROLNET --target onnx -o out',
  );
  const alone = commandAgain(record(['onnx/control-unet'], {}), 'out').command;
  expect(alone).toContain(' --convert-unet --unet-support-controlnet ');
});

test.each([
  [{ bits: 8, mode: 'linear', groupSize: 32 }, 'mode linear, groupSize 32'],
  [{ bits: 4, groupSize: 16 }, 'groupSize 16'],
  [{ bits: 4, skipWeights: ['*proj*'] }, 'skipWeights *proj*'],
])('fewer bits that convert cannot give have no command, but the reason: %j', (quantization, way) => {
  expect(commandAgain(record(onnx, { quantization }), 'out')).toMatchObject({
    command: null,
    note: expect.stringContaining(way),
  });
  const usual = record(onnx, { quantization: { bits: 8, mode: 'palette' } });
  expect(commandAgain(usual, 'out').command).toContain('--quantize-nbits 8');
});

test('clients with forms of their own are named, with the usual one where it is there, too', () => {
  const own = record(onnx, {}).artifacts;
  const theirs = record(
    onnx.map((path) => path.replace('onnx', 'onnx-openvino')),
    { client: 'openvino' },
  );
  expect(commandAgain(theirs, 'out').command).toContain('--for openvino ');
  const both = { ...theirs, artifacts: { ...own, ...theirs.artifacts } };
  expect(commandAgain(both, 'out').command).toContain('--for optimum,openvino ');
});

test('where no single command makes it again, the card says why', () => {
  const inPlace = record(onnx, { quantization: { inPlace: true, forms: [] } });
  expect(commandAgain(inPlace, 'out')).toMatchObject({
    command: null,
    note: expect.stringContaining('in-place'),
  });
  const first = record(['onnx/unet'], {});
  const mixed = {
    ...first,
    artifacts: { ...first.artifacts, ...record(['onnx/vae_decoder'], { precision: 'float32' }).artifacts },
  };
  expect(commandAgain(mixed, 'out')).toMatchObject({
    command: null,
    note: expect.stringContaining('several commands'),
  });
});

test('a record of somebody else may hold anything', () => {
  const strange = { toString: 1 };
  for (const key of ['attention', 'latentHeight', 'deployment', 'maxChunkBytes', 'quantization', 'client'])
    expect(commandAgain(record(onnx, { [key]: strange }), 'out').note).not.toBe('');
  const loras = [{ name: strange, scale: strange }];
  expect(commandAgain(record(onnx, { loras }), 'out').command).toContain('{ toString: 1 }');
});
