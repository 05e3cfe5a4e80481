import { encodeConditioning } from '../../src/generate/encode-conditioning.ts';
import { withGuidanceScale } from '../../src/generate/pipelines/guidance-embedding.ts';
import type { Conditioning } from '../../src/generate/pipelines/predict-noise.ts';
import type { WebPlan } from '../../src/web/web-plan.ts';
import type { DrawRequest } from '../messages.ts';
import type { Networks } from './networks.ts';
import { readTokenizer } from './read-tokenizer.ts';
import type { Following, WeightFiles } from './weight-files.ts';

/** What encoding needs. */
export interface Encoding {
  readonly plan: WebPlan;
  readonly files: WeightFiles;
  readonly networks: Networks;
}

/** Encodes a request's prompts, [negative prompt, prompt] where it is guided; prompts of any length, where the UNet takes them. */
export async function encode(
  { plan, files, networks }: Encoding,
  request: DrawRequest,
  isGuided: boolean,
  following: Following,
): Promise<Conditioning> {
  const { unet, zerosForEmptyPrompt } = plan;
  const size = [request.height, request.width] as const;
  const isZero = unet.family === 'sdxl' && zerosForEmptyPrompt && isGuided && request.negativePrompt === '';
  const encoded = await encodeConditioning(
    {
      unet: { family: unet.family, tokens: unet.tokens },
      networks: { use: (name, use) => networks.use(name, following, use) },
      tokenizerOf: (name) => openTokenizer(plan, name, files, following),
    },
    {
      prompts: isGuided ? [request.negativePrompt, request.prompt] : [request.prompt],
      zeroed: isZero ? [0] : [],
      sizes: { original: size, crop: [0, 0], target: size },
      reading: { long: unet.tokens === undefined, weights: false, clipSkip: 0, inversions: [] },
    },
    { onProgress: (event) => event.type === 'note' && following.onNote(event.message) },
  );
  return withGuidanceScale(encoded, unet, request.guidanceScale);
}

async function openTokenizer(plan: WebPlan, name: string, files: WeightFiles, following: Following) {
  const file = plan.tokenizers[name];
  if (!file) throw new Error(`The page has no tokenizer for ${name}.`);
  return readTokenizer(await files.read(file, following), file.path);
}
