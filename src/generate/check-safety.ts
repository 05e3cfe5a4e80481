import type { Runner } from '../formats/runner.ts';
import { checkArguments, size } from '../io/check-call.ts';
import { elementCount } from '../weights/dtype.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { numbersOf } from '../weights/tensor-values.ts';
import { image as imageSchema, runner } from './call-schemas.ts';
import type { Image } from './image.ts';
import { resizeBicubic } from './resize-bicubic.ts';
import { float32 } from './run-networks.ts';

/** Mean and standard deviation of each colour in CLIP's training pictures (Radford et al. 2021; its preprocessor_config.json). */
const MEANS = [0.48145466, 0.4578275, 0.40821073];
const DEVIATIONS = [0.26862954, 0.26130258, 0.27577711];

/** Side of the pictures that CLIP sees, unless the model declares another. */
const CLIP_SIZE = 224;

/** Side of the picture that is only passed through, if the model takes any size. */
const ANY_SIZE = 8;

/** What a safety checker says of a picture: nothing, where its scores are no numbers, as damaged weights make them. */
export type Judgement = 'appropriate' | 'inappropriate' | 'not judged';

/**
 * Whether a safety checker finds a picture inappropriate, or cannot say that it is not. Throws what running throws.
 *
 * @example if (await isInappropriate(checker, image)) image.data.fill(0);
 */
export async function isInappropriate(checker: Runner, image: Image): Promise<boolean> {
  checkArguments('isInappropriate', { checker: [checker, runner], image: [image, imageSchema] });
  return (await judgePicture(checker, image)) !== 'appropriate';
}

/**
 * Judges a picture as diffusers' StableDiffusionSafetyChecker does on what transformers' CLIPImageProcessor makes of it. Throws what
 * running throws.
 */
export async function judgePicture(checker: Runner, image: Image): Promise<Judgement> {
  const dims = (name: string) => checker.inputs.find((input) => input.name === name)?.dims ?? [];
  const side = Number(dims('clip_input').at(-1)) || CLIP_SIZE;
  // The model blackens this picture; the caller has the real one.
  const shape = dims('images').map((dim, i) => (typeof dim === 'number' ? dim : i === 0 ? 1 : ANY_SIZE));
  const outputs = await checker.run(
    new Map<string, TensorData>([
      ['clip_input', { dtype: 'f32', shape: [1, 3, side, side], data: clipInput(image, side) }],
      ['images', { dtype: 'f32', shape, data: new Float32Array(elementCount(shape)) }],
      ['adjustment', { dtype: 'f32', shape: [1], data: Float32Array.of(0) }],
    ]),
  );
  // NaN is above no threshold. Optimum's model has no scores.
  const scores = outputs.get('concept_scores');
  if (scores && !Array.from(numbersOf(scores)).every(Number.isFinite)) return 'not judged';
  const flags = Array.from(numbersOf(float32(outputs, 'has_nsfw_concepts', checker)));
  if (flags.length === 0) return 'not judged';
  return flags.some((flag) => flag !== 0) ? 'inappropriate' : 'appropriate';
}

/** What CLIP sees of a picture, [3,side,side]: the middle square, resized and normalised as CLIPImageProcessor does. */
export function clipInput(image: Image, side: number): Float32Array {
  checkArguments('clipInput', { image: [image, imageSchema], side: [side, size] });
  const shorter = Math.min(image.width, image.height);
  const [width, height] = [image.width, image.height].map((each) => Math.trunc((side * each) / shorter));
  const resized = resizeBicubic(image, width ?? side, height ?? side);
  const [left, top] = [resized.width, resized.height].map((each) => Math.floor((each - side) / 2));
  const plane = side * side;
  return Float32Array.from({ length: 3 * plane }, (_, i) => {
    const channel = Math.floor(i / plane);
    const [x, y] = [(i % side) + (left ?? 0), Math.floor((i % plane) / side) + (top ?? 0)];
    const value = Math.fround((resized.data[(y * resized.width + x) * 3 + channel] ?? 0) / 255);
    return (value - (MEANS[channel] ?? 0)) / (DEVIATIONS[channel] ?? 1);
  });
}
