import { promises as fs, readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ConvertOptions } from '../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { convertWithReport } from '../../src/commands/convert-with-report.ts';
import { DownloadError, OutputExistsError } from '../../src/errors.ts';
import { readProvenance } from '../../src/formats/provenance.ts';
import { commit, repository } from '../support/hub-checkpoint.ts';
import { filesBelow, hubFixture } from '../support/hub-fixture.ts';
import { sha256 } from '../support/hub-server.ts';
import { filesIn, sdShapes } from '../support/sd-shapes.ts';
import { writeSmallLora } from '../support/small-lora.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const hub = hubFixture();
const at = temporaryFolder();
const unet = 'unet/diffusion_pytorch_model.safetensors';

const shapes = filesIn(sdShapes);
const sizeOf = (name: string) => shapes[name]?.length ?? 0;

beforeEach(() => void hub.server.repositories.set('org/shapes', repository(shapes)));

function convert(options: Partial<ConvertOptions> = {}) {
  return convertCheckpoint({ modelVersion: 'org/shapes', hub: hub.options, output: at('out'), ...options });
}

describe('a dry run of what is on the Hub', () => {
  test('reads headers and configurations, no weights, and says what would be downloaded', async () => {
    const { artifacts, downloads } = await convert({ dryRun: true });
    const here = await convertCheckpoint({ modelVersion: sdShapes, output: at('out'), dryRun: true });
    // A package's description has the checkpoint's name in it.
    const sizes = (all: typeof artifacts) =>
      all.flatMap(({ files }) => files.filter(({ name }) => !name.endsWith('.mlmodel')));
    expect(sizes(artifacts)).toEqual(sizes(here.artifacts));
    expect(downloads).toMatchObject([{ repo: 'org/shapes', commit }]);
    const files = new Map(downloads?.[0]?.files.map(({ name, ...file }) => [name, file]));
    expect(files.get(unet)).toEqual({ byteLength: sizeOf(unet), isCached: false });
    // Of 19.7 MB of weights their headers, in stretches of 64 kB; the tokenizer's vocabulary has 1.5 MB.
    expect(hub.server.bytesSent).toBeLessThan(2.1e6);
    for (const range of hub.rangesOf(unet)) expect(range).toMatch(/^bytes=\d+-\d+$/);
    expect(filesBelow(hub.options.cacheDir).filter((name) => name.endsWith('.safetensors'))).toEqual([]);
    expect(await fs.readdir(at())).toEqual([]);
  });

  test('of one file, given by its address, reads its header', async () => {
    const modelVersion = `${hub.server.url}/org/shapes/resolve/main/${unet}?download=true`;
    const { artifacts, downloads } = await convert({ modelVersion, dryRun: true, targets: ['coreml'] });
    expect(artifacts.map(({ path }) => path)).toEqual([
      'Stable_Diffusion_version_org_shapes_unet_diffusion_pytorch_model_unet.mlpackage',
    ]);
    expect(downloads?.[0]?.files).toEqual([{ name: unet, byteLength: sizeOf(unet), isCached: false }]);
    expect(hub.server.bytesSent).toBeLessThan(200_000);
  });

  test('says what is in the cache already, and what of an output would be kept', async () => {
    await convert({ models: ['vae_encoder'], targets: ['onnx'] });
    const again = await convert({ models: ['vae_encoder'], targets: ['onnx'], dryRun: true });
    expect(again.downloads?.[0]?.files.every(({ isCached }) => isCached)).toBe(true);
    expect(again.artifacts.map(({ kept }) => kept)).toEqual([true]);
    // Without the weights at hand their hashes are the Hub's.
    await fs.rm(hub.options.cacheDir, { recursive: true });
    hub.server.bytesSent = 0;
    const afar = await convert({ models: ['vae_encoder'], targets: ['onnx'], dryRun: true });
    expect(afar.artifacts.map(({ kept }) => kept)).toEqual([true]);
    expect(hub.server.bytesSent).toBeLessThan(2.1e6);
  });

  test('stops where a server gives no parts of files, instead of taking them whole', async () => {
    hub.server.fault = (name) => (name.endsWith('.safetensors') ? { kind: 'ignore-range' } : undefined);
    const refused = await rejectionOf(convert({ dryRun: true }));
    expect(refused).toBeInstanceOf(DownloadError);
    expect(refused.message).toMatch(
      /^127\.0\.0\.1:\d+ does not give parts of files, so \S+ \([\d.]+ MB\) cannot be looked into without downloading it\.\nDownload the model first/,
    );
    expect(hub.server.seen.filter(({ range }) => range !== undefined).length).toBeLessThanOrEqual(2);
  });
});

describe('a conversion downloads', () => {
  const vae = 'vae/diffusion_pytorch_model.safetensors';
  const isCached = (name: string) => filesBelow(hub.options.cacheDir).some((file) => file.endsWith(name));

  test('the weights of what it converts, and reads no more of the others than their headers', async () => {
    const { artifacts } = await convert({ models: ['vae_decoder'] });
    expect([vae, unet].map(isCached)).toEqual([true, false]);
    // Headers come in stretches of 64 kB; the tokenizer's vocabulary has 1.5 MB.
    expect(hub.server.bytesSent).toBeLessThan(sizeOf(vae) + 2.1e6);
    const local = await convertCheckpoint({
      modelVersion: sdShapes,
      models: ['vae_decoder'],
      output: at('l'),
    });
    expect(artifacts.map(({ files }) => files.filter(({ name }) => !name.endsWith('.mlmodel')))).toEqual(
      local.artifacts.map(({ files }) => files.filter(({ name }) => !name.endsWith('.mlmodel'))),
    );
    const { hub: repositories } = (await readProvenance(at('out'))) ?? {};
    expect(repositories?.[0]?.files).not.toContain(unet);
  });

  test('no VAE where another is given, and what is left out stays away', async () => {
    const customVaeVersion = `${sdShapes}/vae`;
    const without = ['unet', 'text_encoder'] as const;
    const { downloads } = await convert({ customVaeVersion, without, dryRun: true });
    const weights = downloads?.[0]?.files.filter(({ name }) => name.endsWith('.safetensors'));
    expect(weights).toEqual([]);
  });

  test('the text encoder for a check of the UNet, which reads prompts', async () => {
    const { downloads } = await convert({ models: ['unet'], minPsnr: 35, dryRun: true });
    const names = downloads?.[0]?.files.map(({ name }) => name) ?? [];
    expect(names).toContain('text_encoder/model.safetensors');
    expect(names).not.toContain(vae);
  });

  test('everything where a server gives no parts of files', async () => {
    hub.server.fault = (name) => (name.endsWith('.safetensors') ? { kind: 'ignore-range' } : undefined);
    await convert({ models: ['vae_decoder'], targets: ['onnx'] });
    expect([vae, unet].map(isCached)).toEqual([true, true]);
  });

  test('what it lacks later; offline it says which command brings it', async () => {
    await convert({ output: at('later'), models: ['vae_decoder'], targets: ['onnx'] });
    const offline = { ...hub.options, offline: true };
    const refused = await rejectionOf(
      convert({ output: at('later'), models: ['text_encoder'], hub: offline }),
    );
    expect(refused.message).toMatch(
      /it has no weights of text_encoder, unet[\s\S]*sdconvert download org\/shapes/,
    );
    await convert({ output: at('later'), models: ['text_encoder'], targets: ['onnx'] });
    expect(isCached('text_encoder/model.safetensors')).toBe(true);
  });
});

test('a conversion has on record which commit and files of the Hub, and which LoRAs by their hashes', async () => {
  const style = readFileSync(await writeSmallLora(at('style.safetensors')));
  hub.server.repositories.set('org/style', repository({ 'style.safetensors': style }));
  const notes: string[] = [];
  const request: ConvertOptions = {
    modelVersion: 'hf://org/shapes',
    customVaeVersion: `${hub.server.url}/org/shapes/tree/main/vae`,
    loras: [
      { path: 'org/style', scale: 0.5 },
      { path: at('style.safetensors'), scale: 2 },
    ],
    models: ['text_encoder'],
    targets: ['onnx'],
    output: at('out'),
    hub: hub.options,
  };
  await convertCheckpoint(request, {
    onProgress: (event) => void (event.type === 'note' && notes.push(event.message)),
  });
  expect(notes).toContain(
    'org/style/style.safetensors at a scale of 0.5 changes 1 layer of the text_encoder and 2 layers of the unet.',
  );
  const { hub: repositories, artifacts } = (await readProvenance(at('out'))) ?? {};
  expect(repositories).toMatchObject([
    { repo: 'org/shapes', commit },
    { repo: 'org/style', commit, files: ['style.safetensors'] },
  ]);
  expect(repositories?.[0]?.files).toContain('text_encoder/model.safetensors');
  expect(artifacts?.['onnx/text_encoder']?.options.loras).toEqual([
    { name: 'org/style/style.safetensors', scale: 0.5, sha256: sha256(style) },
    { name: 'style.safetensors', scale: 2, sha256: sha256(style) },
  ]);
  // Another file under the same name is another LoRA.
  await writeSmallLora(at('style.safetensors'), 0.02);
  await expect(convertCheckpoint(request)).rejects.toThrow(OutputExistsError);
});

test('a report of networks by name downloads no others, and the variant that was converted', async () => {
  const vae = 'vae/diffusion_pytorch_model';
  const files = { ...shapes, [`${vae}.fp16.safetensors`]: shapes[`${vae}.safetensors`] ?? new Uint8Array() };
  hub.server.repositories.set('org/shapes', repository(files));
  const { report } = await convertWithReport({
    modelVersion: 'org/shapes',
    variant: 'fp16',
    models: ['vae_decoder'],
    targets: ['onnx'],
    hub: hub.options,
    output: at('reported'),
  });
  expect(report).toHaveLength(3);
  const weights = filesBelow(hub.options.cacheDir).filter((name) => name.endsWith('.safetensors'));
  expect(weights).toEqual([expect.stringMatching(/vae\/diffusion_pytorch_model\.fp16\.safetensors$/)]);
});
