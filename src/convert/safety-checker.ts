import {
  add,
  addScalar,
  cast,
  greaterScalar,
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

/** What the safety checker reads. */
export interface SafetyCheckerInputs {
  /** The pictures as CLIP sees them: resized and normalised [B,3,224,224]. */
  readonly clip_input: Tensor;
  /** The pictures to be given out [B,H,W,3]. */
  readonly images: Tensor;
  /** Added to the scores of the concepts that call for special care, above 0 for a stricter checker [1]; nothing when left out. */
  readonly adjustment?: Tensor;
}

/** What the safety checker gives. */
export interface SafetyCheckerOutputs {
  /** The pictures, those with a bad concept black [B,H,W,3]. */
  readonly filtered_images: Tensor;
  /** Which have one: bool [B,1]. */
  readonly has_nsfw_concepts: Tensor;
  /** How far each picture's nearness to each bad concept is above that concept's threshold [B,17]. */
  readonly concept_scores: Tensor;
}

/** torch.nn.functional.normalize's. */
const EPSILON = 1e-12;

/**
 * StableDiffusionSafetyChecker (of diffusers): CLIP's embedding of a picture is held against those of bad concepts, by
 * the cosine between them. A picture that is near one of a few concepts that call for special care is held against the
 * bad ones a little more strictly. diffusers rounds the scores to three digits before it looks which are above 0; its
 * form for ONNX and Apple's converter do not, nor does this.
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

/** Whether any number of a row [B,N] is above 0: bool [B,1]. */
function anyAboveZero(x: Tensor): Tensor {
  return greaterScalar(reduceMax(x, 1), 0);
}
