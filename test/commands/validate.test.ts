import { promises as fs, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { validate } from '../../src/commands/validate.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { DiskSpaceError, InterruptedError, NotFoundError, RequestError } from '../../src/errors.ts';
import type { OnnxModel } from '../../src/formats/onnx/build-model.ts';
import type { Verdict } from '../../src/validate/verdict.ts';
import { limitFor } from '../support/limit-for.ts';
import { changeWeight, golden, sdShapes, writeModels } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
/** A tiny UNet and VAE of other sizes, with random weights. */
const otherCheckpoint = fileURLToPath(new URL('../fixtures/sd15-wide-f16', import.meta.url));

/** The four models in float32, and in float16 with the UNet in chunks. */
beforeAll(async () => {
  await writeModels(at('float32'));
  await writeModels(at('float16', 'onnx'), {
    models: ['text_encoder', 'vae_decoder', 'vae_encoder'],
    precision: 'float16',
  });
  await writeModels(at('float16', 'onnx'), {
    models: ['unet'],
    precision: 'float16',
    maxChunkBytes: 6_000_000,
  });
});
afterEach(() => vi.unstubAllEnvs());

function psnrs(verdicts: readonly Verdict[]): number[] {
  return verdicts.flatMap(({ outputs }) => outputs.map(({ psnr }) => psnr));
}

async function only(request: Parameters<typeof validate>[0]): Promise<Verdict> {
  const [verdict, ...others] = await validate(request);
  if (!verdict || others.length > 0) throw new Error(`${others.length + 1} verdicts`);
  return verdict;
}

describe('against recordings of diffusers', () => {
  // Both compute in float32, in another order. Measured: text encoder 147.8 and 149.1, UNet 142.0 to 142.6, VAE decoder
  // 131.4, VAE encoder 140.4 dB. An epsilon of 1e-6 instead of 1e-5 leaves 123.4 dB.
  const minPsnr = 130;

  test.each([
    ['text_encoder', 'text_encoder', ['last_hidden_state', 'pooler_output']],
    ['unet', 'unet.t981', ['out_sample']],
    ['unet', 'unet.t501', ['out_sample']],
    ['unet', 'unet.t21', ['out_sample']],
    ['vae_decoder', 'vae_decoder', ['sample']],
    ['vae_encoder', 'vae_encoder', ['latent_parameters']],
  ])('every output of the float32 %s is what %s recorded', async (model, recording, outputs) => {
    const verdict = await only({ artifact: at('float32', model), reference: golden(recording), minPsnr });
    expect(verdict).toMatchObject({ model, paths: [at('float32', model)], notCompared: [], pass: true });
    expect(verdict.outputs.map(({ name }) => name)).toEqual(outputs);
    expect(
      verdict.outputs.every(({ inputs, nonFinite }) => inputs === 'recorded' && nonFinite.candidate === 0),
    ).toBe(true);
  });

  test('a wrong epsilon fails', async () => {
    const changeEpsilons = ({ proto }: OnnxModel) => {
      const attributes = (proto.graph?.node ?? []).flatMap(({ attribute }) => attribute ?? []);
      for (const attribute of attributes) if (attribute.name === 'epsilon') attribute.f = 1e-6;
    };
    await writeModels(at('epsilon'), { models: ['unet'], spoilModel: changeEpsilons });
    const verdict = await only({ artifact: at('epsilon', 'unet'), reference: golden('unet.t501'), minPsnr });
    expect(verdict.pass).toBe(false);
    expect(psnrs([verdict])[0]).toBeLessThan(125); // measured 123.4
  });

  test('a recording of another model is refused', async () => {
    const refused = validate({ artifact: at('float32', 'unet'), reference: golden('vae_decoder'), minPsnr });
    await expect(refused).rejects.toThrow(RequestError);
    await expect(refused).rejects.toThrow(
      /unet\/model\.onnx is the UNet, and the tensors are those of the VAE decoder\.[\s\S]*\[1, 3, 64, 64\]/,
    );
  });

  test('a folder of several models says that one of them must be named', async () => {
    const refused = validate({ artifact: at('float32'), reference: golden('unet.t21'), minPsnr });
    await expect(refused).rejects.toThrow(
      /contains 4 models[\s\S]*text_encoder, unet, vae_decoder, vae_encoder/,
    );
  });
});

describe('against the checkpoint', () => {
  test('float16 models pass, the UNet’s chunks as one model, on several timesteps', async () => {
    const verdicts = await validate({ artifact: at('float16'), reference: sdShapes, minPsnr: 70 });
    expect(verdicts.map(({ model, paths, pass }) => [model, paths.length, pass])).toEqual([
      ['text_encoder', 1, true],
      ['unet', 2, true],
      ['vae_decoder', 1, true],
      ['vae_encoder', 1, true],
    ]);
    expect(verdicts[1]?.outputs.map(({ inputs }) => inputs)).toEqual([
      'timestep 981',
      'timestep 501',
      'timestep 1',
    ]);
    // Measured: 78.7 and 79.2, 90.4 to 91.3, 101.4, 137.9 dB.
    expect(Math.min(...psnrs(verdicts))).toBeGreaterThan(75);
    expect(Math.max(...psnrs(verdicts))).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  test('the float32 model is the reference itself', async () => {
    const verdict = await only({
      artifact: at('float32', 'unet', 'model.onnx'),
      reference: sdShapes,
      minPsnr: 35,
    });
    expect(psnrs([verdict])).toEqual(Array(3).fill(Number.POSITIVE_INFINITY));
  });

  test('a broken weight fails, and says by how much', async () => {
    const spoilCheckpoint = changeWeight('unet', 'up_blocks.3.resnets.2.conv2.weight', (value) => -value);
    await writeModels(at('broken'), { models: ['unet'], spoilCheckpoint });
    const verdict = await only({ artifact: at('broken', 'unet'), reference: sdShapes, minPsnr: 35 });
    expect(verdict.pass).toBe(false);
    expect(Math.min(...psnrs([verdict]))).toBeLessThan(30);
    expect(Math.max(...verdict.outputs.map(({ maxAbsError }) => maxAbsError))).toBeGreaterThan(0.1);
  });

  test('an overflow fails whatever the threshold', async () => {
    const spoilCheckpoint = changeWeight('vae', 'decoder.conv_out.bias', () => Number.POSITIVE_INFINITY);
    await writeModels(at('overflow'), { models: ['vae_decoder'], spoilCheckpoint });
    const verdict = await only({
      artifact: at('overflow', 'vae_decoder'),
      reference: sdShapes,
      minPsnr: Number.NEGATIVE_INFINITY,
    });
    expect(verdict.pass).toBe(false);
    expect(verdict.outputs[0]?.nonFinite).toEqual({
      reference: 0,
      candidate: 3 * 64 * 64,
      added: 3 * 64 * 64,
    });
  });
});

describe('against other models', () => {
  test('models of a folder are compared with those of the same name', async () => {
    const verdicts = await validate({ artifact: at('float32'), reference: at('float16'), minPsnr: 70 });
    expect(verdicts.map(({ model, pass }) => [model, pass])).toEqual([
      ['text_encoder', true],
      ['unet', true],
      ['vae_decoder', true],
      ['vae_encoder', true],
    ]);
  });

  test('one chunk stands for all chunks of its model', async () => {
    const request = { reference: golden('unet.t21'), minPsnr: 70 }; // measured 90.2 dB
    const paths = ['unet_chunk1', 'unet_chunk2'].map((name) => at('float16', 'onnx', name));
    for (const name of ['unet_chunk2', 'unet_chunk1/model.onnx', 'unet']) {
      const verdict = await only({ artifact: at('float16', 'onnx', name), ...request });
      expect(verdict).toMatchObject({ model: 'unet', paths, pass: true });
    }
  });

  test('a model of another network is refused', async () => {
    const refused = validate({
      artifact: at('float32', 'unet'),
      reference: at('float32', 'vae_decoder'),
      minPsnr: 35,
    });
    await expect(refused).rejects.toThrow(/are not the same network[\s\S]*latent_sample/);
  });

  test('a reference without the model is refused', async () => {
    await fs.mkdir(at('two'));
    for (const name of ['text_encoder', 'vae_decoder'])
      await fs.cp(at('float32', name), at('two', name), { recursive: true });
    const missing = validate({ artifact: at('float32', 'unet'), reference: at('two'), minPsnr: 35 });
    await expect(missing).rejects.toThrow(NotFoundError);
    await expect(missing).rejects.toThrow(/has no unet[\s\S]*text_encoder, vae_decoder/);
  });

  test('what is not there is named', async () => {
    const request = { artifact: at('float32'), reference: sdShapes, minPsnr: 35 };
    await expect(validate({ ...request, artifact: at('none') })).rejects.toThrow(/none does not exist/);
    await expect(validate({ ...request, artifact: sdShapes })).rejects.toThrow(
      /sd-shapes holds no model that can be run/,
    );
    await expect(validate({ ...request, reference: at('none') })).rejects.toThrow(
      /none does not exist[\s\S]*a checkpoint/,
    );
    await expect(validate({ ...request, reference: at('none.safetensors') })).rejects.toThrow(NotFoundError);
  });
});

test('a checkpoint that has its weights only in float16 is a checkpoint', async () => {
  const checkpoint = at('half-checkpoint');
  await fs.cp(`${sdShapes}/vae`, `${checkpoint}/vae`, { recursive: true });
  await fs.copyFile(`${sdShapes}/model_index.json`, `${checkpoint}/model_index.json`);
  const weights = `${checkpoint}/vae/diffusion_pytorch_model`;
  await fs.rename(`${weights}.safetensors`, `${weights}.fp16.safetensors`);
  const request = { artifact: at('float32', 'vae_decoder'), reference: checkpoint, minPsnr: 100 };
  expect(await validate(request)).toMatchObject([{ model: 'vae_decoder', pass: true }]);
});

describe('temporary files', () => {
  const unet = () => ({ artifact: at('float32', 'unet'), reference: sdShapes, minPsnr: 35 });

  async function emptyFolder(): Promise<string> {
    return fs.mkdtemp(at('temporary-'));
  }

  test('are not begun where there is no room for them', async () => {
    const tmpDir = await emptyFolder();
    const full = vi.spyOn(fs, 'statfs').mockResolvedValue({ bavail: 1, bsize: 1000 } as never); // as: the rest is not read
    const refused = validate({ ...unet(), tmpDir });
    await expect(refused).rejects.toThrow(DiskSpaceError);
    await expect(refused).rejects.toThrow(
      /no room for temporary files: [\d.]+ MB are needed, 1\.0 kB are free.*\n.*temporary-\w+\n.*--tmp-dir/,
    );
    full.mockRestore();
    expect(await fs.readdir(tmpDir)).toEqual([]);
  });

  test('lie in the folder that is named, and are gone in the end', async () => {
    const tmpDir = await emptyFolder();
    const elsewhere = await emptyFolder();
    vi.stubEnv('TMPDIR', elsewhere);
    const seen = new Set<string>();
    const look = () => {
      for (const name of readdirSync(tmpDir, { recursive: true })) seen.add(String(name));
    };
    const watch = setInterval(look, 1);
    await validate({ ...unet(), tmpDir });
    clearInterval(watch);
    expect([...seen].some((name) => name.endsWith('weights'))).toBe(true);
    expect(await fs.readdir(tmpDir)).toEqual([]);
    expect(await fs.readdir(elsewhere)).toEqual([]);
  });

  test('lie in the system’s folder where none is named', async () => {
    const folder = await emptyFolder();
    vi.stubEnv('TMPDIR', folder);
    expect(tmpdir()).toBe(folder);
    await validate(unet());
    expect(await fs.readdir(folder)).toEqual([]);
  });

  test('need a folder that is there', async () => {
    await expect(validate({ ...unet(), tmpDir: at('nowhere') })).rejects.toThrow(NotFoundError);
    await expect(validate({ ...unet(), tmpDir: at('nowhere') })).rejects.toThrow(/nowhere.*--tmp-dir/s);
  });

  test('are removed when the models do not match', async () => {
    const tmpDir = await emptyFolder();
    const refused = validate({ ...unet(), reference: otherCheckpoint, tmpDir });
    await expect(refused).rejects.toThrow(
      /take encoder_hidden_states of different sizes\.\n {2}model +64\n {2}reference +48/,
    );
    expect(await fs.readdir(tmpDir)).toEqual([]);
  });

  test('are removed when the work is interrupted', async () => {
    const tmpDir = await emptyFolder();
    const controller = new AbortController();
    const onProgress = (event: ProgressEvent) => {
      if (event.type === 'progress' && event.what.endsWith('the reference')) controller.abort();
    };
    const request = { artifact: at('float32'), reference: sdShapes, minPsnr: 35, tmpDir };
    const stopped = validate(request, { onProgress, signal: controller.signal });
    await expect(stopped).rejects.toThrow(InterruptedError);
    expect(await fs.readdir(tmpDir)).toEqual([]);
  });
});

describe('little memory', () => {
  test('gives the same verdict, and says before it starts how it goes about it', {
    timeout: 300_000,
  }, async () => {
    const request = { artifact: at('float32', 'unet'), reference: golden('unet.t501'), minPsnr: 130 };
    const notes: string[] = [];
    const onProgress = (event: ProgressEvent) => void (event.type === 'note' && notes.push(event.message));
    const maxMemoryBytes = limitFor(12e6);
    const [little] = await validate({ ...request, maxMemoryBytes }, { onProgress });
    expect(little).toEqual(await only(request));
    expect(notes).toEqual([
      expect.stringMatching(
        /^unet takes about \d+ \w+ and 3\d\d\.\d MB of memory: the artifact in \d parts\.$/,
      ),
    ]);
  });

  test('too little is refused, and it says how much would do', async () => {
    const request = { artifact: at('float32', 'unet'), reference: golden('unet.t501'), minPsnr: 130 };
    for (const [maxMemoryBytes, why] of [
      [100e6, 'the processes that run it take 300\\.0 MB themselves'],
      [305e6, 'one of its operations alone takes more'],
    ] as const) {
      const refused = validate({ ...request, maxMemoryBytes });
      await expect(refused).rejects.toThrow(RequestError);
      await expect(refused).rejects.toThrow(
        new RegExp(`cannot be run in \\d+\\.0 MB of memory: ${why}\\..*needed.*--max-memory 0\\.\\dGB`, 's'),
      );
    }
  });
});
