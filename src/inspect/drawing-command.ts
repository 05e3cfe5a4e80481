import { join } from 'node:path';
import { kindByChannels } from '../checkpoint/family.ts';
import type { NetworkName } from '../convert/networks/networks.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { optimumInput } from '../run/tensor-names.ts';
import { inputsOf } from '../run/xl-models.ts';
import type { Inspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';

/** The networks that every picture needs, and the one that Stable Diffusion XL needs too. */
const needed: readonly NetworkName[] = ['text_encoder', 'unet', 'vae_decoder'];
const neededByXl: NetworkName = 'text_encoder_2';

/** What a UNet needs beside the prompt, by the task that it was trained for. */
const pictures = {
  inpainting: {
    options: ['--image', 'IMAGE.png', '--mask', 'MASK.png'],
    where: 'IMAGE.png is a picture, and MASK.png is white where it is to be redrawn.',
  },
  pix2pix: { options: ['--image', 'IMAGE.png'], where: 'IMAGE.png is the picture to edit.' },
} as const;

/** The command that draws with the models in a folder; `undefined` where some that it needs are missing. `paths` are relative. */
export async function drawingCommand(
  folder: string,
  paths: readonly string[],
): Promise<Inspection['next'] | undefined> {
  const networks = paths.map((path) => parsePath(path).network);
  if (!needed.every((network) => networks.includes(network))) return undefined;
  const allOf = (network: NetworkName) =>
    paths.filter((_, i) => networks[i] === network).map((path) => join(folder, path));
  const inputs = await inputsOf(allOf('unet'));
  const isXl = inputs.some(({ name }) => optimumInput(name) === 'time_ids');
  if (isXl && !networks.includes(neededByXl)) return undefined;
  const channels = inputs.find(({ name }) => name === 'sample')?.shape?.[1];
  const task = typeof channels === 'number' ? kindByChannels(channels) : undefined;
  const { options, where } =
    task === 'inpainting' || task === 'pix2pix' ? pictures[task] : { options: [], where: undefined };
  return {
    ...nextCommand('generate', '-i', folder, '--prompt', 'an astronaut riding a horse', ...options),
    ...(where !== undefined && { where }),
  };
}
