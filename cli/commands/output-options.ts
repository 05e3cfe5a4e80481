import type { Argv } from 'yargs';

/** Options of `generate` for files and memory, and what Apple's tools have beside. */
export function outputOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('compare-schedulers', {
      type: 'string',
      describe: 'Schedulers with commas between: each draws the same, side by side on a sheet with times',
    })
    .option('save-every', {
      type: 'number',
      default: 0,
      describe: 'Also save the pictures as they are after every N steps',
    })
    .option('grid', { type: 'boolean', default: false, describe: 'Also save all pictures on one sheet' })
    .option('disable-safety', {
      type: 'boolean',
      default: false,
      describe: 'Leave out the safety checker, which blackens pictures',
    })
    .option('vae-tiling', {
      type: 'boolean',
      default: false,
      describe: 'Run the VAE on tiles: less memory for large pictures',
    })
    .option('reduce-memory', {
      type: 'boolean',
      default: false,
      describe: 'Leave weights in their files and close models after each use: slower',
    })
    .options(appleOptions);
}

const OF_SWIFT = 'models run on the CPU here';
const DETECTED = 'the kind of checkpoint is detected';
const LATIN = 'multilingual text encoders are not converted';

/** Options of Apple's two programs that change nothing here, and why. */
const withoutEffectHere = {
  'compute-unit': OF_SWIFT,
  'compute-units': OF_SWIFT,
  'model-version': DETECTED,
  'model-sources': DETECTED,
  xl: DETECTED,
  sd3: 'Stable Diffusion 3 is not supported yet',
  'unet-batch-one': 'UNets for one row and for two are both run',
  'use-multilingual-text-encoder': LATIN,
  script: LATIN,
} as const;

const appleOptions = {
  'compute-unit': { type: 'string', hidden: true },
  'compute-units': { type: 'string', hidden: true },
  'model-version': { type: 'string', hidden: true },
  'model-sources': { type: 'string', hidden: true },
  xl: { type: 'boolean', hidden: true },
  sd3: { type: 'boolean', hidden: true },
  'unet-batch-one': { type: 'boolean', hidden: true },
  'use-multilingual-text-encoder': { type: 'boolean', hidden: true },
  script: { type: 'string', hidden: true },
} as const;

/** A note for each of Apple's options that was passed and has no effect. */
export function withoutEffect(argv: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(withoutEffectHere).flatMap(([name, reason]) =>
    argv[name] === undefined ? [] : [`--${name} has no effect: ${reason}.`],
  );
}
