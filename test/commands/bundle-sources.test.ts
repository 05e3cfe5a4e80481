import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ClientName, clientNames } from '../../src/bundle/profiles/profile.ts';
import { isWhatConvertWrites, profiles } from '../../src/bundle/profiles/profiles.ts';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { verify } from '../../src/commands/verify.ts';
import { readProvenance } from '../../src/formats/provenance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';
import { writeXlCheckpoint } from '../support/xl-checkpoint.ts';

const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
const at = temporaryFolder();
const packageOf = (network: string) => `out/Stable_Diffusion_version_sd-shapes_${network}.mlpackage`;
const clientsThat = (does: (client: ClientName) => boolean) =>
  clientNames.filter((client) => !isWhatConvertWrites(client) && does(client));

beforeAll(async () => {
  const models = ['text_encoder', 'unet', 'vae_decoder'] as const;
  await convertCheckpoint({ modelVersion, output: at('converted'), models, bundle: false });
}, 120_000);

beforeEach(() => {
  rmSync(at('out'), { recursive: true, force: true });
  copy('converted', 'out');
});

function copy(from: string, to: string): void {
  cpSync(at(from), at(to), { recursive: true });
}

/** The refusal of a bundle, of which nothing is written. */
async function refusal(client: ClientName): Promise<string> {
  const { problem } = await rejectionOf(bundlePackages({ folder: at('out'), clients: [client] }));
  expect(existsSync(at(`out/${profiles[client].folder}`))).toBe(false);
  return problem.replaceAll(at('out'), 'out');
}

describe('of two ONNX models of one network, bundle', () => {
  test('takes the one that is called so, and says which it leaves out', async () => {
    copy('out/onnx/unet', 'out/onnx/unet_8bit');
    const notes: string[] = [];
    await bundlePackages(
      { folder: at('out'), clients: ['ort-web'] },
      { onProgress: (event) => event.type === 'note' && notes.push(event.message.replaceAll(at('out'), '')) },
    );
    expect(notes).toEqual(['/onnx/unet_8bit is left out: /onnx/unet is the unet by its name.']);
  });

  test('refuses both that are called so', async () => {
    copy('out/onnx/unet', 'out/onnx/small_unet');
    expect(await refusal('ort-web')).toBe('out/onnx has two models of one network: unet.');
  });
});

describe('Stable Diffusion XL is told by its UNet', () => {
  beforeAll(async () => {
    const output = at('converted xl');
    await convertCheckpoint({ modelVersion: writeXlCheckpoint(at('xl')), output, targets: ['onnx'] });
  }, 120_000);

  beforeEach(() => {
    rmSync(at('out'), { recursive: true });
    copy('converted xl', 'out');
  });

  test.each(clientsThat((client) => !profiles[client].networks.includes('text_encoder_2')))(
    'and refused for %s, as by convert',
    async (client) => {
      // That it lacks the second text encoder makes it no other model.
      for (const isThere of [true, false]) {
        if (!isThere) rmSync(at('out/onnx/text_encoder_2'), { recursive: true });
        expect(await refusal(client)).toBe(
          `${client} does not load out/onnx: it has no second text encoder, as Stable Diffusion XL needs.`,
        );
      }
    },
  );

  test.each(['openvino', 'onnxstack', 'diffusers-js'] as const)(
    'and written for %s, which needs both text encoders',
    async (client) => {
      await bundlePackages({ folder: at('out'), clients: [client] });
      expect(await verify({ path: at('out'), clients: [client] })).toMatchObject({ problems: [] });
      rmSync(at('out', profiles[client].folder), { recursive: true });
      rmSync(at('out/onnx/text_encoder_2'), { recursive: true });
      expect(await refusal(client)).toBe(
        `out/onnx has no text_encoder_2, without which ${client} cannot draw.`,
      );
    },
  );

  test('a second text encoder beside another UNet is left out', async () => {
    rmSync(at('out'), { recursive: true });
    copy('converted', 'out');
    copy('out/onnx/text_encoder', 'out/onnx/text_encoder_2');
    await bundlePackages({ folder: at('out'), clients: ['ort-web'] });
    expect(existsSync(at('out/onnx-ort-web/text_encoder_2'))).toBe(false);
  });
});

test.each(clientsThat((client) => profiles[client].required.includes('vae_encoder')))(
  'bundle refuses a folder without the VAE encoder that %s needs',
  async (client) => {
    expect(await refusal(client)).toContain(`has no vae_encoder, without which ${client} cannot draw.`);
  },
);

test('bundle refuses a folder without a UNet for a client of packages', async () => {
  rmSync(at(packageOf('unet')), { recursive: true });
  expect(await refusal('comfyui')).toBe('out has no unet, without which comfyui cannot draw.');
});

/** The command by which verify would mend what a client refuses. */
async function mend(client: ClientName, path: string): Promise<string | undefined> {
  const [check] = (await verify({ path: at(path), clients: [client] })).clients ?? [];
  return check?.mend?.replaceAll(at('out'), 'out');
}

const converting = (client: ClientName) =>
  `sdconvert convert --model-version CHECKPOINT --for ${client} -o out --force`;

describe('verify names a command that mends:', () => {
  test('of the output, though the folder in it is verified', async () => {
    mkdirSync(at('out/Resources'));
    expect(await mend('swift', 'out/Resources')).toBe('sdconvert bundle out --for swift');
    expect(await mend('mochi', 'out/Resources')).toBe(converting('mochi'));
    expect(await mend('openvino', 'out/onnx')).toBe('sdconvert bundle out --for openvino');
  });

  test('a conversion where weights are damaged that a bundle would be made of', async () => {
    await bundlePackages({ folder: at('out'), clients: ['swift', 'openvino'] });
    // Of its own: the same file may have a name in another folder.
    const cut = (file: string) => {
      rmSync(file);
      writeFileSync(file, new Uint8Array(1000));
    };
    cut(at('out/Resources/Unet.mlmodelc/weights/weight.bin'));
    expect(await mend('swift', 'out')).toBe('sdconvert bundle out --for swift');
    cut(at(packageOf('unet'), 'Data/com.apple.CoreML/weights/weight.bin'));
    expect(await mend('swift', 'out')).toBe(converting('swift'));
    cut(at('out/onnx-openvino/unet/model.onnx_data'));
    expect(await mend('openvino', 'out')).toBe('sdconvert bundle out --for openvino');
    cut(at('out/onnx/unet/model.onnx_data'));
    expect(await mend('openvino', 'out')).toBe(converting('openvino'));
  });

  test('a conversion with options of its own, which are named', async () => {
    const output = at('exact');
    const models = ['text_encoder', 'unet', 'vae_decoder'] as const;
    const precision = 'float32';
    await convertCheckpoint({ modelVersion, output, models, targets: ['onnx'], precision });
    rmSync(at('exact/onnx/unet/model.onnx_data'));
    const check = async () => (await verify({ path: output, clients: ['optimum'] })).clients?.[0];
    expect((await check())?.mend).toBe(
      `sdconvert convert --model-version CHECKPOINT --for optimum --precision float32 -o ${output} --force`,
    );
    await convertCheckpoint({ modelVersion, output, clients: ['optimum'], precision, force: true });
    expect((await check())?.problems).toEqual([]);
  }, 120_000);

  test('a conversion where operations are of a newer system, which a bundle has, too', async () => {
    await bundlePackages({ folder: at('out') });
    const file = at('out/Resources/Unet.mlmodelc/metadata.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('Ios16.einsum', 'Ios17.einsum'));
    copy(packageOf('vae_decoder'), packageOf('vae_encoder'));
    expect(await mend('mochi', 'out')).toBe(converting('mochi'));
  });
});

describe.each(clientsThat((client) => !profiles[client].takesChunks))(
  '%s loads whole models, so',
  (client) => {
    test('bundle refuses chunks', async () => {
      renameSync(at('out/onnx/unet'), at('out/onnx/unet_chunk1'));
      renameSync(at(packageOf('unet')), at(packageOf('unet_chunk1')));
      expect(await mend(client, 'out')).toBe(converting(client));
      expect(await refusal(client)).toMatch(
        new RegExp(`has its unet in chunks, and ${client} loads it whole.$`),
      );
    });

    test('convert refuses to cut them', async () => {
      const request = { modelVersion, output: at('never'), clients: [client], maxChunkBytes: 1e6 };
      expect((await rejectionOf(convertCheckpoint(request))).problem).toBe(
        `${client} loads whole models, and --chunk-unet cuts the UNet.`,
      );
    });
  },
);

test('two bundles of one output do not write its record at a time', async () => {
  const bundle = (client: ClientName) => bundlePackages({ folder: at('out'), clients: [client] });
  const [first, second] = await Promise.allSettled([bundle('openvino'), bundle('ort-web')]);
  expect([first?.status, second?.status].sort()).toEqual(['fulfilled', 'rejected']);
  const refused = first?.status === 'rejected' ? 'openvino' : 'ort-web';
  await bundle(refused);
  const { artifacts = {} } = (await readProvenance(at('out'))) ?? {};
  for (const client of ['openvino', 'ort-web'])
    for (const network of ['text_encoder', 'unet', 'vae_decoder'])
      expect(artifacts[`onnx-${client}/${network}`]?.options).toMatchObject({ client });
});
