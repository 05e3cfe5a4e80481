import type { Argv } from 'yargs';
import type { ControlNetRequest } from '../../src/commands/drawing/request.ts';
import { RequestError } from '../../src/errors.ts';
import type { NeededOption } from '../needed-options.ts';

type Arguments = Awaited<ReturnType<typeof pictureOptions>['argv']>;

/** Options of `generate` for sizes, input pictures, ControlNets and the refiner. */
export function pictureOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('height', {
      type: 'number',
      describe: 'Height in pixels [default: that of --image, or else the size of the model]',
    })
    .option('width', { type: 'number', describe: 'Width in pixels' })
    .option('image', {
      type: 'string',
      describe:
        'Image-to-image: a PNG to start from, of the size of the result; pix2pix: the picture to edit',
    })
    .option('strength', {
      type: 'number',
      describe: 'How much to change --image: above 0, at most 1 [default: 0.5; with --mask 1]',
    })
    .option('mask', {
      type: 'string',
      describe: 'Inpainting: a PNG that is white where --image is to be redrawn',
    })
    .option('image-guidance-scale', {
      type: 'number',
      describe: 'pix2pix: how closely to follow --image; below 1 turns guidance off [default: 1.5]',
    })
    .option('controlnet', {
      type: 'string',
      array: true,
      describe: 'ControlNets: names of models in the input, ids they were converted from, or paths',
    })
    .option('controlnet-inputs', {
      type: 'string',
      array: true,
      describe: 'A conditioning image for each ControlNet: a PNG of edges, depth, a pose',
    })
    .option('controlnet-scale', {
      type: 'number',
      array: true,
      describe: 'Conditioning scale of each ControlNet, or one for all [default: 1]',
    })
    .option('controlnet-start', {
      type: 'number',
      array: true,
      describe: 'Share of the steps after which each ControlNet applies [default: 0]',
    })
    .option('controlnet-end', {
      type: 'number',
      array: true,
      describe: 'Share of the steps after which each ControlNet no longer applies [default: 1]',
    })
    .option('refiner-start', {
      type: 'number',
      describe: 'Share of the steps after which the refiner takes over: 0.8 is usual [default: no refiner]',
    });
}

const hasImage: NeededOption['isMet'] = ({ image }) => image !== undefined;
const hasControlNet: NeededOption['isMet'] = ({ controlnet }) => controlnet !== undefined;

/** Which of them change nothing without others. */
export const pictureOptionsNeeded: readonly NeededOption[] = [
  { option: 'strength', needs: '--image', isMet: hasImage },
  { option: 'mask', needs: '--image', isMet: hasImage },
  { option: 'image-guidance-scale', needs: '--image', isMet: hasImage },
  ...['controlnet-inputs', 'controlnet-scale', 'controlnet-start', 'controlnet-end'].map((option) => ({
    option,
    needs: '--controlnet',
    isMet: hasControlNet,
  })),
];

/** Pairs each ControlNet with its values; a single number is for all. Throws `RequestError` when the counts differ. */
export function controlNetsOf(args: Arguments): ControlNetRequest[] {
  const { controlnet: names = [], 'controlnet-inputs': images = [] } = args;
  checkCount('--controlnet-inputs', images.length, names.length);
  const each = (option: 'controlnet-scale' | 'controlnet-start' | 'controlnet-end') => {
    const values = args[option] ?? [];
    if (values.length === 1 && names.length > 0) return names.map(() => values[0]);
    if (values.length > 0) checkCount(`--${option}`, values.length, names.length);
    return values;
  };
  const [scales, starts, ends] = [each('controlnet-scale'), each('controlnet-start'), each('controlnet-end')];
  return names.map((name, i) => ({
    name,
    image: images[i] ?? '',
    scale: scales[i],
    start: starts[i],
    end: ends[i],
  }));
}

function checkCount(option: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new RequestError({
    problem: `${option} has ${found} values for ${expected} ControlNets.`,
    advice: 'Pass one for each --controlnet, in the same order.',
  });
}
