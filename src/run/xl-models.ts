import type { NetworkName } from '../convert/networks/networks.ts';
import { SdConvertError } from '../errors.ts';
import type { DeclaredValue } from '../formats/artifact.ts';
import { withArtifact } from '../formats/open.ts';
import { ONE_TEXT, optimumInput } from './tensor-names.ts';

/** A model, whole or in chunks, and the network that it is. */
interface NamedModel {
  readonly network: NetworkName | undefined;
  readonly paths: readonly string[];
}

/** The inputs of artifacts; none of what cannot be read. */
export async function inputsOf(paths: readonly string[]): Promise<readonly DeclaredValue[]> {
  return (await factsOf(paths)).flatMap(({ inputs }) => inputs);
}

/** Facts of artifacts; none of what cannot be read. */
async function factsOf(paths: readonly string[]) {
  try {
    return await Promise.all(paths.map((path) => withArtifact(path, (artifact) => artifact.facts())));
  } catch (error) {
    if (error instanceof SdConvertError) return [];
    throw error;
  }
}

/** Whether a text encoder gives all of XL's text in one tensor. */
export function givesOneText(outputs: readonly Pick<DeclaredValue, 'name'>[]): boolean {
  return outputs.some(({ name }) => name === ONE_TEXT);
}

/** Whether text encoders, which may be damaged, give all of XL's text in one tensor, and the checkpoint that they say they are of. */
export async function factsOfText(
  textEncoders: readonly string[],
): Promise<{ readonly hasOneText: boolean; readonly version: string | undefined }> {
  const facts = await factsOf(textEncoders);
  return {
    hasOneText: facts.some(({ outputs }) => givesOneText(outputs)),
    version: facts[0]?.metadata.version,
  };
}

/**
 * Whether models draw as Stable Diffusion XL does: by what their UNet reads, since a second text encoder may be left over or
 * lacking. Where no UNet can be read, by that.
 */
export async function areOfXl(models: readonly NamedModel[]): Promise<boolean> {
  const inputs = await unetInputs(models);
  if (inputs.length > 0) return inputs.some(({ name }) => optimumInput(name) === 'time_ids');
  return models.some(({ network }) => network === 'text_encoder_2');
}

/** Whether models draw as XL's refiner does, which reads the second text encoder alone. */
export async function areOfRefiner(models: readonly NamedModel[]): Promise<boolean> {
  const ids = (await unetInputs(models)).find(({ name }) => optimumInput(name) === 'time_ids');
  return isOfRefiner(ids?.shape?.at(-1));
}

/** Whether so many `time_ids`, of one row or of two in a row, are the refiner's five: an aesthetic score takes the place of a size. */
export function isOfRefiner(ids: number | string | undefined): boolean {
  return ids === 5 || ids === 10;
}

async function unetInputs(models: readonly NamedModel[]): Promise<readonly DeclaredValue[]> {
  const unets = models.filter(({ network }) => network === 'unet' || network === 'control-unet');
  return inputsOf(unets.flatMap(({ paths }) => paths));
}
