import type { ArtifactId } from '../../formats/artifact-id.ts';
import type { ModelDescription } from '../../formats/coreml/mil/mil-schema.ts';
import type { JsonObject } from '../../io/json/python-json.ts';
import { isOfRefiner } from '../../run/xl-models.ts';
import { version } from '../../version.ts';

/** Settings of a scheduler that GuernikaKit reads from the UNet (Unet.swift). */
const schedulerSettings = [
  'prediction_type',
  'timestep_spacing',
  'steps_offset',
  'set_alpha_to_one',
] as const;

/**
 * Metadata by which Guernika learns what a model is: of a UNet the settings of its scheduler, and the width of the text; of
 * a text encoder its own. A model keeps them when it is copied alone.
 */
export function guernikaMetadata(
  scheduler: JsonObject | undefined,
): (id: ArtifactId, description: ModelDescription) => Readonly<Record<string, string>> {
  return ({ network }, { input, output }) => {
    const shapeOf = (features: ModelDescription['input'], ...names: string[]) =>
      features.find(({ name }) => names.includes(name))?.type?.multiArrayType?.shape;
    if (network === 'text_encoder' || network === 'text_encoder_2') {
      const width = shapeOf(output, 'last_hidden_state', 'hidden_embeds')?.at(-1);
      return width === undefined ? {} : { hidden_size: String(width) };
    }
    if (network !== 'unet') return {};
    const width = shapeOf(input, 'encoder_hidden_states')?.[1];
    const settings = schedulerSettings.flatMap((key) => {
      const value = scheduler?.[key];
      const isPlain = ['string', 'number', 'boolean'].includes(typeof value);
      return isPlain ? [[key, String(value)] as const] : [];
    });
    return {
      converter_version: `sdconvert ${version}`,
      requires_aesthetics_score: String(isOfRefiner(shapeOf(input, 'time_ids')?.at(-1))),
      ...(width === undefined ? {} : { hidden_size: String(width) }),
      ...Object.fromEntries(settings),
    };
  };
}
