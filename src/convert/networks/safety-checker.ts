import { safetyCheckerConfig } from '../config/safety-checker-config.ts';
import { type SafetyCheckerInputs, safetyChecker } from '../safety-checker.ts';
import { networkCard } from './card.ts';
import { channelsLast, onlyCase, picture, zeroToOne } from './realistic.ts';
import { positionIds } from './text-encoder.ts';

/**
 * Height and width of the pictures that SafetyChecker.swift passes in, whatever size the model draws; it throws for a
 * checker of another size.
 */
const CHECKED_SIZE = 512;

/** Size of CLIP's input, where the model declares none. */
const CLIP_SIZE = 224;

/** The safety checker: blackens pictures that show a bad concept. */
export const safetyCheckerCard = networkCard({
  component: 'safety_checker',
  part: 'safety_checker',
  title: 'the safety checker',
  shortDescription: 'Blackens pictures that it takes for indecent.',
  swiftName: 'SafetyChecker',
  fewerBits: false,
  marks: ['clip_input'],
  settings: {},
  ignored: () => [positionIds],
  inputs: {
    clip_input: {
      optimum: 'clip_input',
      apple: 'clip_input',
      axes: ['batch', 'colours', 'clipSize', 'clipSize'],
      text: 'The picture as CLIP sees it: 224 by 224 pixels, normalized, channels first',
    },
    images: {
      optimum: 'images',
      apple: 'images',
      axes: ['batch', 'height', 'width', 'colours'],
      text: 'The picture itself, channels last',
    },
    adjustment: {
      optimum: null,
      apple: 'adjustment',
      axes: [1],
      text: 'Added to the scores of the most sensitive concepts; 0 to leave them as they are',
    },
  },
  outputs: {
    filtered_images: {
      optimum: 'out_images',
      apple: 'filtered_images',
      text: 'The picture, or black in its place',
    },
    has_nsfw_concepts: {
      optimum: 'has_nsfw_concepts',
      apple: 'has_nsfw_concepts',
      text: 'Not 0 where the picture was blackened',
    },
    concept_scores: {
      optimum: null,
      apple: 'concept_scores',
      text: 'How far each concept is above its threshold',
    },
  },
  read: safetyCheckerConfig,
  dims: ({ vision_config: { num_channels, image_size } }, { contract }) => ({
    batch: contract.rows(1),
    colours: num_channels,
    clipSize: image_size,
    height: contract.size(undefined, 'height', CHECKED_SIZE),
    width: contract.size(undefined, 'width', CHECKED_SIZE),
  }),
  forward: (at, inputs: SafetyCheckerInputs, config) => safetyChecker(at, inputs, config),
  cases(rng, { batch, colours, height, width, clipSize = CLIP_SIZE }) {
    return onlyCase(
      'picture',
      ['clip_input', picture(rng, [batch, colours, clipSize, clipSize])],
      ['images', channelsLast(zeroToOne(picture(rng, [batch, colours, height, width])))],
      ['adjustment', { dtype: 'f32', shape: [1], data: Float32Array.of(0) }],
    );
  },
});
