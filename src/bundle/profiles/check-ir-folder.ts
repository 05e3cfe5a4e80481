import { join } from 'node:path';
import type { NetworkKind } from '../../convert/networks/networks.ts';
import { pathKind, readText } from '../../io/disk.ts';
import { sizeOfFile } from '../../io/file-sizes.ts';
import { checkFiles, checkModel } from './check-onnx-folder.ts';
import { irFacts } from './ir-facts.ts';
import type { ClientName, Profile } from './profile.ts';

const MODEL = 'openvino_model.xml';

/** Whether a folder holds models in OpenVINO's own form. */
export async function isIrFolder(folder: string): Promise<boolean> {
  return (await pathKind(join(folder, 'unet', MODEL))) === 'file';
}

/** Everything that OpenVINO GenAI would refuse in a folder of IR, a sentence each. Reads no weights. */
export async function checkIrFolder(client: ClientName, profile: Profile, folder: string): Promise<string[]> {
  const found: string[] = [];
  let isXl = false;
  const needed = (): readonly NetworkKind[] =>
    isXl ? [...profile.required, 'text_encoder_2'] : profile.required;
  // The UNet first: it says whether there is a second text encoder.
  for (const network of ['unet', ...profile.networks.filter((each) => each !== 'unet')] as const) {
    const path = join(folder, network, MODEL);
    if ((await pathKind(path)) !== 'file') {
      if (needed().includes(network)) found.push(`${network}/${MODEL} is missing.`);
      continue;
    }
    const { inputs, names, dataBytes } = irFacts(await readText(path));
    if (network === 'unet') isXl = inputs.some(({ name }) => name === 'text_embeds');
    const problems = await checkData(path.replace(/xml$/, 'bin'), dataBytes);
    const outputs = names.map((name) => ({ name, dtype: '', shape: null }));
    found.push(...checkModel(client, profile, network, { inputs, outputs, files: [], problems }));
  }
  const tokenizers = isXl ? ['tokenizer', 'tokenizer_2'] : ['tokenizer'];
  const files = [
    'model_index.json',
    'scheduler/scheduler_config.json',
    ...tokenizers.flatMap((name) => [`${name}/openvino_tokenizer.xml`, `${name}/openvino_tokenizer.bin`]),
  ];
  return [...found, ...(await checkFiles(client, { ...profile, files }, folder))];
}

async function checkData(path: string, bytes: number): Promise<string[]> {
  if ((await pathKind(path)) !== 'file') return ['its weights are missing: there is no openvino_model.bin.'];
  const size = await sizeOfFile(path);
  return size < bytes
    ? [`its weights are cut short: openvino_model.bin has ${size} bytes, ${bytes} are needed.`]
    : [];
}
