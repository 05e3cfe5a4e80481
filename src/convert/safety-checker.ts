import {
  add,
  addScalar,
  cast,
  greaterScalar,
  lessScalar,
  matmul,
  mul,
  normalize,
  reduceMax,
  reshape,
  scale,
} from '../graph/functions.ts';
import { linear } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import { dimAt } from '../graph/shape.ts';
import type { Tensor } from '../graph/tensor.ts';
import { clipVision } from './clip-vision.ts';
import type { SafetyCheckerConfig } from './config/safety-checker-config.ts';

/** Inputs of the safety checker. */
export interface SafetyCheckerInputs {
  /** The pictures, resized and normalised for CLIP [B,3,224,224]. */
  readonly clip_input: Tensor;
  /** The pictures to filter [B,H,W,3]. */
  readonly images: Tensor;
  /** Added to the scores of the special-care concepts [1]; above 0 makes the checker stricter. 0 when left out. */
  readonly adjustment?: Tensor;
}

/** Outputs of the safety checker. */
export interface SafetyCheckerOutputs {
  /** The pictures, black where one shows a bad concept [B,H,W,3]. */
  readonly filtered_images: Tensor;
  /** Whether a picture shows one: bool [B,1]. */
  readonly has_nsfw_concepts: Tensor;
  /** Similarity of each picture to each bad concept, minus the concept's threshold [B,17]. */
  readonly concept_scores: Tensor;
}

/** Epsilon of torch.nn.functional.normalize. */
const EPSILON = 1e-12;

/**
 * diffusers' StableDiffusionSafetyChecker: compares CLIP's embedding of a picture with those of bad concepts by cosine
 * similarity. For a picture that is similar to a special-care concept, the thresholds of all bad concepts drop by 0.01.
 * diffusers rounds the scores to three digits before it compares them with 0; its ONNX form and Apple's converter do
 * not, and neither does this.
 */
export function safetyChecker(
  at: Scope,
  { clip_input, images, adjustment }: SafetyCheckerInputs,
  { vision_config }: SafetyCheckerConfig,
): SafetyCheckerOutputs {
  const pooled = clipVision(at.in('vision_model'), clip_input, vision_config);
  const embedding = linear(at.in('visual_projection'), pooled, { bias: false }); // [B,P]
  const direction = normalize(embedding, EPSILON);
  const aboveThreshold = (concepts: string): Tensor => {
    const directions = normalize(at.weight(concepts), EPSILON); // [N,P]
    const cosines = matmul(direction, directions, { transposeB: true });
    return add(cosines, scale(at.weight(`${concepts}_weights`), -1));
  };

  const special = aboveThreshold('special_care_embeds'); // [B,3]
  const care = anyAboveZero(adjustment ? add(special, adjustment) : special);
  const scores = add(aboveThreshold('concept_embeds'), scale(cast(care, 'f32'), 0.01));
  const flagged = anyAboveZero(scores);

  const kept = addScalar(scale(cast(flagged, 'f32'), -1), 1);
  return {
    filtered_images: mul(images, reshape(kept, [dimAt(images.shape, 0), 1, 1, 1])),
    has_nsfw_concepts: flagged,
    concept_scores: scores,
  };
}

/** The least number that float16 has: no score that is above 0 is smaller. */
const LEAST = 2 ** -24;

/**
 * Whether any number in a row of x [B,N] is above 0: bool [B,1]. What is no number, as damaged weights and float16 that overflows make
 * it, is above nothing and below nothing: it counts as one that is, so that no picture passes that nobody has judged.
 */
function anyAboveZero(x: Tensor): Tensor {
  const isBelow = cast(lessScalar(x, LEAST), 'f32');
  return greaterScalar(reduceMax(addScalar(scale(isBelow, -1), 1), 1), 0.5);
}
