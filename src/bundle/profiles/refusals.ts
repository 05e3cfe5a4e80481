import { RequestError } from '../../errors.ts';
import type { ClientName } from './profile.ts';
import { profiles } from './profiles.ts';

/** What a refusal needs to know of a checkpoint, or of a folder of its models. */
export interface Drawn {
  readonly name: string;
  /** Whether it is of Stable Diffusion XL. */
  readonly isXl: boolean;
}

/** Throws `RequestError` for a client that cannot draw with a checkpoint: it has no second text encoder. */
export function refuseUnserved(clients: readonly ClientName[], { name, isXl }: Drawn): void {
  if (!isXl) return;
  const unserved = clients.find((client) => !profiles[client].networks.includes('text_encoder_2'));
  if (unserved === undefined) return;
  throw new RequestError({
    problem: `${unserved} does not load ${name}: it has no second text encoder, as Stable Diffusion XL needs.`,
    advice: `Leave ${unserved} out of --for.`,
  });
}

/** Throws `RequestError` for a client that loads whole models only, where the UNet is to be cut. */
export function refuseChunks(clients: readonly ClientName[]): void {
  const whole = clients.find((client) => !profiles[client].takesChunks);
  if (whole === undefined) return;
  throw new RequestError({
    problem: `${whole} loads whole models, and --chunk-unet cuts the UNet.`,
    advice: `Leave out --chunk-unet, or ${whole} out of --for.`,
  });
}
