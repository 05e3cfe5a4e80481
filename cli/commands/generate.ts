import type { Argv } from 'yargs';
import { RequestError } from '../../src/errors.ts';
import { allSchedulers, schedulerCalled, shortName } from '../../src/generate/schedulers/scheduler-names.ts';
import type { GeneratedImage } from '../../src/index.ts';
import { shellWord } from '../../src/io/shell-word.ts';
import type { RngKind } from '../../src/random/random.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import { everyName, wholeNumber, wholePair } from '../options.ts';
import type { Command } from './command.ts';
import { outputOptions, withoutEffect } from './output-options.ts';
import { controlNetsOf, pictureOptions, pictureOptionsNeeded } from './picture-options.ts';
import { promptOptions } from './prompt-options.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert generate -i DIR --prompt …`: generates pictures with converted models. */
export const generateCommand: Command = {
  options: declare,
  needed: pictureOptionsNeeded,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { generate, generateStages } = await import('../../src/commands/generate.ts');
    const { parseTextualInversion } = await import('../../src/generate/prompt/read-textual-inversion.ts');
    const args = argv as Arguments;
    if (args.lora) throw loraTooLate(args.lora);
    for (const note of withoutEffect(args)) report.note(note);
    const request = {
      input: args.input,
      output: args.output,
      prompt: await promptsOf(args),
      negativePrompt: args['negative-prompt'],
      seed: seedsIn(args.seed),
      steps: wholeNumber(args['num-inference-steps'], '--num-inference-steps', 1),
      guidanceScale: args['guidance-scale'],
      scheduler: args.scheduler === undefined ? undefined : schedulerCalled(args.scheduler),
      compareSchedulers: schedulersIn(args['compare-schedulers']),
      rng: args.rng,
      image: args.image,
      strength: args.strength,
      mask: args.mask,
      imageGuidanceScale: args['image-guidance-scale'],
      controlnets: controlNetsOf(args),
      refinerStart: args['refiner-start'],
      height: args.height === undefined ? undefined : wholeNumber(args.height, '--height', 1),
      width: args.width === undefined ? undefined : wholeNumber(args.width, '--width', 1),
      originalSize: wholePair(args['original-size'], '--original-size'),
      crop: wholePair(args.crop, '--crop'),
      clipSkip: wholeNumber(args['clip-skip'], '--clip-skip', 0),
      longPrompts: args['long-prompts'],
      promptWeights: args['prompt-weights'],
      textualInversions: args['textual-inversion']?.map(parseTextualInversion),
      imageCount: wholeNumber(args['image-count'], '--image-count', 1),
      saveEvery: wholeNumber(args['save-every'], '--save-every', 0),
      grid: args.grid,
      disableSafety: args['disable-safety'],
      vaeTiling: args['vae-tiling'],
      reduceMemory: args['reduce-memory'],
      hub: await hubOptions(args),
    };
    const inversions = request.textualInversions?.map(({ file }) => file) ?? [];
    const stages = await withDownload(generateStages, args.input, ...inversions);
    const images = await report.follow(stages, (context) => generate(request, context));
    report.result({ images }, images.map(describeImage).join('\n'));
    return 0;
  },
};

/** The prompts of the command line and of files. Throws `RequestError` when there is none. */
async function promptsOf(args: Arguments): Promise<string[]> {
  const { readPrompts } = await import('../../src/commands/drawing/read-prompts.ts');
  const file = args['prompt-file'];
  const prompts = [
    ...(args.text === undefined ? [] : [args.text]),
    ...(args.prompt ?? []),
    ...(file === undefined ? [] : await readPrompts(file)),
  ];
  if (prompts.length > 0) return prompts;
  throw new RequestError({
    problem: 'there is no prompt.',
    advice: 'Say what the picture should show: --prompt "a red circle".',
  });
}

/** Seeds in a list with commas. Throws `RequestError` for one that is no whole number. */
function seedsIn(list: string | undefined): number[] | undefined {
  return list?.split(',').map((text) => {
    const seed = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isSafeInteger(seed) && seed >= 0) return seed;
    throw new RequestError({
      problem: `--seed ${list} is not a whole number of at least 0, nor several with commas between.`,
      advice: 'Leave it out for a random one.',
    });
  });
}

/** Names of schedulers in a list with commas. Throws `RequestError` when there is none. */
function schedulersIn(list: string | undefined): string[] | undefined {
  const names = list
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names?.length !== 0) return names;
  throw new RequestError({
    problem: '--compare-schedulers names no scheduler.',
    details: { found: JSON.stringify(list) },
    advice: 'Name them with commas between: --compare-schedulers ddim,euler,dpm++',
  });
}

function describeImage(image: GeneratedImage): string {
  const withheld = image.kind !== 'sheet' && image.isWithheld ? '  withheld by the safety checker' : '';
  return `${image.path}  ${image.width}×${image.height}${withheld}`;
}

function loraTooLate(files: readonly string[]): RequestError {
  return new RequestError({
    problem: 'a LoRA is merged when a checkpoint is converted, not when pictures are generated.',
    details: { found: files.join(', ') },
    advice: `Convert again with --lora ${files.map((file) => shellWord(file)).join(' ')}, and generate with the result.`,
  });
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(outputOptions(pictureOptions(promptOptions(drawingOptions(yargs)))), how)
    .option('lora', { type: 'string', array: true, hidden: true })
    .example(
      '$0 generate -i ./out --prompt "a red circle" --seed 7 -o ./pictures',
      'writes ./pictures/a_red_circle.7.final.png',
    );
}

/** Options that every picture has. */
function drawingOptions<T>(yargs: Argv<T>) {
  return yargs
    .positional('text', { type: 'string', describe: 'A prompt, as --prompt' })
    .option('prompt', {
      type: 'string',
      array: true,
      describe: 'What the picture should show; several are drawn one after the other, with the same seed',
    })
    .option('prompt-file', { type: 'string', describe: 'A file with a prompt a line' })
    .option('negative-prompt', { type: 'string', describe: 'What it should not show' })
    .option('input', {
      alias: ['i', 'resource-path'],
      type: 'string',
      demandOption: true,
      describe:
        'A conversion’s output folder, its onnx, Resources or CoreAI, a folder of packages, or a ready-made repository',
    })
    .option('output', {
      alias: ['o', 'output-path'],
      type: 'string',
      default: '.',
      describe: 'Folder for the pictures',
    })
    .option('seed', {
      alias: 's',
      type: 'string',
      describe:
        'Seed of the random numbers, or several with commas between, of which each draws all [default: random, and printed]',
    })
    .option('num-inference-steps', {
      alias: 'step-count',
      type: 'number',
      default: 50,
      describe: 'Number of denoising steps',
    })
    .option('guidance-scale', {
      type: 'number',
      default: 7.5,
      describe: 'How closely to follow the prompt; 1 turns guidance off',
    })
    .option('scheduler', {
      type: 'string',
      describe: `${allSchedulers().map(shortName).join(', ')}, or a class of diffusers [default: the checkpoint’s]`,
    })
    .option('rng', {
      choices: everyName<RngKind>({ numpy: true, torch: true, nvidia: true }),
      default: 'numpy' as const,
      describe: 'Random number generator: the same seed gives the same noise as in NumPy, PyTorch or CUDA',
    })
    .option('image-count', { type: 'number', default: 1, describe: 'Number of pictures' })
    .option('original-size', {
      type: 'string',
      describe: 'Stable Diffusion XL: HEIGHT,WIDTH of its original_size [default: the picture’s]',
    })
    .option('crop', {
      type: 'string',
      describe: 'Stable Diffusion XL: TOP,LEFT of its crop coordinates [default: 0,0]',
    });
}
