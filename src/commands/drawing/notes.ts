import type { Context } from '../../context.ts';
import type { NetworkName } from '../../convert/networks/networks.ts';
import { readProvenance } from '../../formats/provenance.ts';
import type { Guidance } from '../../generate/pipelines/guidance.ts';
import type { TextualInversion } from '../../generate/prompt/textual-inversion.ts';
import { type SchedulerName, shortName } from '../../generate/schedulers/scheduler-names.ts';
import type { GenerateRequest } from './request.ts';

/** Tells which schedulers have timesteps that are rounded, for a UNet that takes whole ones. */
export function noteRounded(
  schedules: readonly { readonly scheduler: SchedulerName; readonly timesteps: readonly number[] }[],
  { onProgress }: Context,
): void {
  const rounded = schedules.filter(({ timesteps }) => !timesteps.every(Number.isInteger));
  if (rounded.length === 0) return;
  const names = rounded.map(({ scheduler }) => shortName(scheduler)).join(', ');
  onProgress?.({
    type: 'note',
    message: `this UNet takes whole timesteps: those of ${names} are rounded, as its client does, and the picture is not quite diffusers’.`,
  });
}

/** Tells which textual inversions change nothing, because no prompt has their token. */
export function noteUnused(
  inversions: readonly TextualInversion[],
  { prompt, negativePrompt = '' }: GenerateRequest,
  { onProgress }: Context,
): void {
  const texts = [...[prompt].flat(), negativePrompt].map((text) => text.toLowerCase());
  for (const { token } of inversions)
    if (!texts.some((text) => text.includes(token.toLowerCase())))
      onProgress?.({
        type: 'note',
        message: `${token} is in no prompt: its textual inversion changes nothing.`,
      });
}

/** Leaves out a negative prompt that no network reads, so that it is on no record; a note tells it. */
export function withoutUnused(
  request: GenerateRequest,
  { guidance, refiner }: { readonly guidance: Guidance; readonly refiner: unknown },
  { onProgress }: Context,
): GenerateRequest {
  const isRead = guidance.rows.includes('negative prompt') || (refiner && request.guidanceScale > 1);
  if (isRead || !request.negativePrompt) return request;
  onProgress?.({
    type: 'note',
    message:
      'the negative prompt is not used: it needs guidance, which is off for a --guidance-scale of 1 or less (of pix2pix, for an --image-guidance-scale below 1, too) and for UNets that take the scale as an input (LCM).',
  });
  return { ...request, negativePrompt: undefined };
}

/**
 * Notes that models are of several checkpoints, as far as they say it: files of two conversions may be in one folder by mistake. A VAE
 * that their conversion was told to take (`--custom-vae-version`) is on its record in `output`. Throws as `readProvenance` does.
 */
export async function noteOrigins(
  versions: ReadonlyMap<NetworkName, string | undefined>,
  output: string,
  { onProgress }: Context,
): Promise<void> {
  const { artifacts = {} } = (await readProvenance(output)) ?? {};
  const asked = new Set(Object.values(artifacts).map(({ options }) => options.origin));
  const known = [...versions].filter(([, version]) => version && !asked.has(version));
  const origins = [...Map.groupBy(known, ([, version]) => version)];
  if (origins.length < 2) return;
  const parts = origins.map(
    ([version, models]) => `${models.map(([name]) => name).join(' and ')} of ${version}`,
  );
  onProgress?.({
    type: 'note',
    message: `the models say that they are of several checkpoints: ${parts.join(', ')}. If that is not on purpose, take all of them from one conversion.`,
  });
}
