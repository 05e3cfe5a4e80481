import type { NeededOption } from './needed-options.ts';
import { wholeNumber } from './options.ts';

/** How the pictures are drawn that a command draws beside its work. */
interface Drawn {
  readonly prompt: string;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly seed: number;
}

/** The options of such pictures; `what` they are of. */
export function drawnOptions(what: string, defaults: Drawn, prompt = `Prompt of ${what}`) {
  return {
    prompt: { type: 'string', default: defaults.prompt, describe: prompt },
    'num-inference-steps': { type: 'number', default: defaults.steps, describe: `Steps of ${what}` },
    'guidance-scale': {
      type: 'number',
      default: defaults.guidanceScale,
      describe: `Guidance scale of ${what}`,
    },
    seed: { type: 'number', default: defaults.seed, describe: `Seed of ${what}` },
  } as const;
}

type DrawnOption = keyof ReturnType<typeof drawnOptions>;

/** What these options need, one and all. */
export function drawnNeeds(how: Omit<NeededOption, 'option'>): NeededOption[] {
  const names: readonly DrawnOption[] = ['prompt', 'num-inference-steps', 'guidance-scale', 'seed'];
  return names.map((option) => ({ option, ...how }));
}

/** What these options say. Throws `RequestError` for steps or a seed that are no whole numbers. */
export function drawnSettings(argv: {
  readonly prompt: string;
  readonly 'num-inference-steps': number;
  readonly 'guidance-scale': number;
  readonly seed: number;
}): Drawn {
  return {
    prompt: argv.prompt,
    steps: wholeNumber(argv['num-inference-steps'], '--num-inference-steps', 1),
    guidanceScale: argv['guidance-scale'],
    seed: wholeNumber(argv.seed, '--seed', 0),
  };
}
