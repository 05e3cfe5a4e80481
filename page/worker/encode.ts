import { ClipTokenizer } from '../../src/generate/clip-tokenizer.ts';
import { guidanceEmbedding } from '../../src/generate/pipelines/guidance-embedding.ts';
import { type Conditioning, repeatRows } from '../../src/generate/pipelines/predict-noise.ts';
import { float32, runEncoder } from '../../src/generate/run-networks.ts';
import { joinChannels, timeIds, zeroRows } from '../../src/generate/sdxl-conditioning.ts';
import type { WebPlan, WebTokenizer } from '../../src/web/web-plan.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import type { DrawRequest } from '../messages.ts';
import type { Networks } from './networks.ts';
import type { Following, WeightFiles } from './weight-files.ts';

/** What encoding needs. */
export interface Encoding {
  readonly plan: WebPlan;
  readonly files: WeightFiles;
  readonly networks: Networks;
}

/** Number of tokens of CLIP. */
const TOKENS = 77;

/** Encodes a request's prompts, [negative prompt, prompt] where it is guided; a note tells what is cut off. */
export async function encode(
  { plan, files, networks }: Encoding,
  request: DrawRequest,
  isGuided: boolean,
  following: Following,
): Promise<Conditioning> {
  const prompts = isGuided ? [request.negativePrompt, request.prompt] : [request.prompt];
  const isXl = plan.unet.family === 'sdxl';
  const encoded: TensorData<'f32'>[] = [];
  let pooled: TensorData<'f32'> | undefined;
  for (const name of Object.keys(plan.tokenizers)) {
    const tokenizer = await openTokenizer(plan, name, files, following);
    if (encoded.length === 0) noteCut(tokenizer, prompts, following);
    const rows = prompts.map((prompt) => tokenizer.encode(prompt, { maxLength: TOKENS }));
    await networks.use(name, following, async (encoder) => {
      const outputs = await runEncoder(encoder, rows);
      encoded.push(float32(outputs, isXl ? 'hidden_embeds' : 'last_hidden_state', encoder));
      if (isXl && name === 'text_encoder_2') pooled = float32(outputs, 'text_embeds', encoder);
    });
  }
  const hidden = encoded.reduce(joinChannels);
  if (!isXl || !pooled) return withGuidance({ hiddenStates: hidden }, plan, request);
  const zeroed = plan.zerosForEmptyPrompt && isGuided && request.negativePrompt === '' ? [0] : [];
  const size = [request.height, request.width] as const;
  return {
    hiddenStates: zeroRows(hidden, zeroed),
    added: new Map([
      ['text_embeds', zeroRows(pooled, zeroed)],
      ['time_ids', timeIds({ original: size, crop: [0, 0], target: size }, prompts.length)],
    ]),
  };
}

/** Adds the guidance scale for a UNet with distilled guidance. */
function withGuidance(
  conditioning: Conditioning,
  { unet }: WebPlan,
  { guidanceScale }: DrawRequest,
): Conditioning {
  if (unet.guidanceChannels === undefined) return conditioning;
  const embedding = guidanceEmbedding(guidanceScale, unet.guidanceChannels);
  const rows = conditioning.hiddenStates.shape[0] ?? 1;
  return { ...conditioning, added: new Map([['timestep_cond', repeatRows(embedding, rows)]]) };
}

async function openTokenizer(plan: WebPlan, name: string, files: WeightFiles, following: Following) {
  const file = plan.tokenizers[name];
  if (!file) throw new Error(`The page has no tokenizer for ${name}.`);
  const text = new TextDecoder().decode(await files.read(file, following));
  const { added, ...rest }: WebTokenizer = JSON.parse(text);
  return ClipTokenizer.fromFiles({ ...rest, added: new Map(added) });
}

function noteCut(tokenizer: ClipTokenizer, prompts: readonly string[], { onNote }: Following): void {
  for (const prompt of prompts) {
    const cut = tokenizer.words(prompt).slice(TOKENS - 2);
    if (cut.length > 0) onNote(`The prompt is too long: “${tokenizer.textOf(cut)}” was cut off.`);
  }
}
