import type { LatentScale } from '../convert/networks/vae-variants.ts';
import { RequestError } from '../errors.ts';
import type { Runner, TensorMap } from '../formats/runner.ts';
import { checkArguments, list } from '../io/check-call.ts';
import { findSynonym } from '../run/tensor-names.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { tensor } from '../weights/tensor-schema.ts';
import { convertTensor } from '../weights/tensor-values.ts';
import { latentScale, runner } from './call-schemas.ts';
import { latentsForVae } from './scale-latents.ts';

/** Runs of text encoders and VAE decoders. Networks must have optimum's tensor names, as those from `openNetwork` do. */

/** Encodes tokenized prompts into hidden states [rows,77,C]. */
export async function encodePrompts(
  textEncoder: Runner,
  rows: readonly (readonly number[])[],
): Promise<TensorData<'f32'>> {
  checkArguments('encodePrompts', { textEncoder: [textEncoder, runner], rows: [rows, list] });
  return float32(await runEncoder(textEncoder, rows), 'last_hidden_state', textEncoder);
}

/** Runs a text encoder on tokenized prompts. */
export async function runEncoder(
  textEncoder: Runner,
  rows: readonly (readonly number[])[],
): Promise<TensorMap> {
  const shape = [rows.length, rows[0]?.length ?? 0];
  const data = BigInt64Array.from(rows.flat(), BigInt);
  return textEncoder.run(new Map([['input_ids', { dtype: 'i64', shape, data }]]));
}

/** Decodes latents [1,C,h,w] to a picture [1,3,8h,8w] in −1…1 (and a little beyond). */
export async function decodeLatents(
  vaeDecoder: Runner,
  latents: TensorData<'f32'>,
  scale: LatentScale,
): Promise<TensorData<'f32'>> {
  checkArguments('decodeLatents', {
    vaeDecoder: [vaeDecoder, runner],
    latents: [latents, tensor],
    scale: [scale, latentScale],
  });
  const scaled = latentsForVae(latents, scale);
  return float32(await vaeDecoder.run(new Map([['latent_sample', scaled]])), 'sample', vaeDecoder);
}

/** Finds an output by optimum's name and converts it to float32. Throws `RequestError` when it is missing. */
export function float32(outputs: TensorMap, name: string, { path }: Pick<Runner, 'path'>): TensorData<'f32'> {
  const names = [...outputs.keys()];
  const tensor = outputs.get(findSynonym('outputs', name, [name], names) ?? '');
  const converted = tensor && convertTensor(name, tensor, 'f32');
  if (converted?.dtype === 'f32') return converted;
  throw new RequestError({
    problem: `${path} has no output called ${name}.`,
    details: { 'it has': names.join(', ') },
    advice: 'Name a folder that sdconvert wrote.',
  });
}
