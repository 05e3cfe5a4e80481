import { kindTitles } from '../checkpoint/family.ts';
import type { Context } from '../context.ts';
import { CLIP_TOKENS } from '../convert/config/clip-text-config.ts';
import { LATENT_CHANNELS } from '../convert/networks/latents.ts';
import type { InputCase } from '../convert/networks/realistic.ts';
import { RequestError } from '../errors.ts';
import type { Runner, TensorMap } from '../formats/runner.ts';
import { findDrawingFolder, requireModel } from '../generate/drawing-folder.ts';
import { openTokenizerOf, readSettings } from '../generate/drawing-settings.ts';
import { readDrawnUnet } from '../generate/drawn-unet.ts';
import { beginWithNoise } from '../generate/pipelines/beginning.ts';
import { denoise } from '../generate/pipelines/denoise.ts';
import { classifierFree } from '../generate/pipelines/guidance.ts';
import { noisePredictor } from '../generate/pipelines/predict-noise.ts';
import { schedulerIn } from '../generate/read-scheduler.ts';
import { encodePrompts } from '../generate/run-networks.ts';
import { createRng } from '../random/random.ts';
import { openChain } from '../run/chain.ts';
import { feedsFor } from '../run/feeds.ts';

/** Prompts and settings of the pictures whose UNet inputs are recorded. */
export interface DenoisingRequest {
  /** The `onnx` folder that the UNet belongs to: its text encoder, tokenizer and scheduler draw with it. */
  readonly folder: string;
  readonly prompts: readonly string[];
}

/** Steps of the run, and the recorded ones: from noise to nearly a picture. */
const STEPS = 20;
const KEPT = [1, 10, 18];

// Between the usual guidance of few-step models and that of large ones.
const GUIDANCE = 5;
const SEED = 93;

/**
 * Records the inputs of a UNet at a few steps of real denoising runs, one for each prompt. The UNet must take latents, a
 * timestep and a text, and nothing else. Throws what opening and running the folder's models throws.
 */
export async function denoisingCases(
  unet: Runner,
  { folder, prompts }: DenoisingRequest,
  context: Context,
): Promise<InputCase[]> {
  const drawing = await findDrawingFolder(folder, ['unet']);
  const { family, kind, size } = await readDrawnUnet(requireModel(drawing, 'unet'));
  if (kind !== 'base')
    throw new RequestError({
      problem: `the UNet is for ${kindTitles[kind]}, and needs more than a prompt.`,
      details: { folder },
      advice: 'Measure with recorded inputs instead.',
    });
  const tokenizer = await openTokenizerOf(drawing, 'tokenizer', family);
  const { scheduler: config, schedulerFile } = await readSettings(drawing, family, context);
  const shape = [1, LATENT_CHANNELS, ...size];
  const encoder = await openChain(requireModel(drawing, 'text_encoder').paths, { optimize: false });
  const texts = [];
  try {
    for (const prompt of prompts) {
      const rows = ['', prompt].map((text) => tokenizer.encode(text, { maxLength: CLIP_TOKENS }));
      texts.push(await encodePrompts(encoder, rows));
    }
  } finally {
    await encoder.close();
  }

  const cases: InputCase[] = [];
  for (const [index, hiddenStates] of texts.entries()) {
    const rng = createRng('numpy', SEED + index);
    const seen: TensorMap[] = [];
    const recorder: Runner = {
      ...unet,
      async run(feeds) {
        seen.push(feeds);
        const [predicted] = (await unet.run(feedsFor(unet, feeds))).values();
        return new Map(predicted ? [['out_sample', predicted]] : []);
      },
    };
    const normal = (count: number) => rng.normal(count);
    const scheduler = schedulerIn(schedulerFile, config);
    scheduler.setTimesteps(STEPS);
    const { pictures, timesteps } = beginWithNoise({ schedulers: [scheduler], shape, normal });
    const predict = noisePredictor({
      unet: recorder,
      conditioning: { hiddenStates },
      guidance: classifierFree(GUIDANCE),
    });
    await denoise({ pictures, timesteps, predict, normal }, context);
    cases.push(
      ...KEPT.flatMap((step): InputCase[] => {
        const tensors = seen[step];
        return tensors ? [{ name: `“${prompts[index]}”, step ${step + 1} of ${STEPS}`, tensors }] : [];
      }),
    );
  }
  return cases;
}
