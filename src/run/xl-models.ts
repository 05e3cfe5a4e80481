import type { NetworkName } from '../convert/networks/networks.ts';
import { SdConvertError } from '../errors.ts';
import type { DeclaredValue } from '../formats/artifact.ts';
import { withArtifact } from '../formats/open.ts';
import { optimumInput } from './tensor-names.ts';

/** A model, whole or in chunks, and the network that it is. */
interface NamedModel {
  readonly network: NetworkName | undefined;
  readonly paths: readonly string[];
}

/** The inputs of artifacts; none of what cannot be read. */
export async function inputsOf(paths: readonly string[]): Promise<readonly DeclaredValue[]> {
  try {
    const facts = await Promise.all(paths.map((path) => withArtifact(path, (artifact) => artifact.facts())));
    return facts.flatMap(({ inputs }) => inputs);
  } catch (error) {
    if (error instanceof SdConvertError) return [];
    throw error;
  }
}

/**
 * Whether models draw as Stable Diffusion XL does: by what their UNet reads, since a second text encoder may be left over or
 * lacking. Where no UNet can be read, by that.
 */
export async function areOfXl(models: readonly NamedModel[]): Promise<boolean> {
  const unets = models.filter(({ network }) => network === 'unet' || network === 'control-unet');
  const inputs = await inputsOf(unets.flatMap(({ paths }) => paths));
  if (inputs.length > 0) return inputs.some(({ name }) => optimumInput(name) === 'time_ids');
  return models.some(({ network }) => network === 'text_encoder_2');
}
