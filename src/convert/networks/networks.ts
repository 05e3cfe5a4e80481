import type { NetworkCard } from './card.ts';
import { controlnetCard } from './controlnet.ts';
import { safetyCheckerCard } from './safety-checker.ts';
import { textEncoder, textEncoder2 } from './text-encoder.ts';
import { controlUnet, refiner, unetCard } from './unet.ts';
import { vaeDecoderCard, vaeEncoderCard } from './vae.ts';

/** The cards of all supported networks, in the order they run. */
export const networks = {
  text_encoder: textEncoder,
  text_encoder_2: textEncoder2,
  controlnet: controlnetCard,
  unet: unetCard,
  'control-unet': controlUnet,
  refiner,
  vae_decoder: vaeDecoderCard,
  vae_encoder: vaeEncoderCard,
  safety_checker: safetyCheckerCard,
} as const satisfies Readonly<Record<string, NetworkCard>>;

/**
 * The kinds of networks, named as Apple's tool and the commands name them. `control-unet` is the UNet that takes a
 * ControlNet's residuals.
 */
export type NetworkKind = keyof typeof networks;

/** Names by which commands select networks: `text_encoder` means both text encoders, `unet` every UNet. */
export type NetworkPart = (typeof networks)[NetworkKind]['part'];

/** A network of a checkpoint; several ControlNets are numbered as diffusers does: `controlnet`, `controlnet_1`, …. */
export type NetworkName = NetworkKind | `controlnet_${number}`;

/** Every kind of network, in the order they run. */
// as: Object.keys gives strings; the table above has exactly these keys.
export const networkKinds = Object.keys(networks) as readonly NetworkKind[];

/** The kind of a network. */
export function networkKind(name: NetworkName): NetworkKind {
  // as: names that begin so are ControlNets, most with a number; all other names are kinds.
  return name.startsWith('controlnet') ? 'controlnet' : (name as NetworkKind);
}

/** The card of a network. */
export function cardOf(name: NetworkName): NetworkCard<NetworkPart> {
  return networks[networkKind(name)];
}

/** Name of the component that a network is built from. */
export function componentOf(name: NetworkName): string {
  const kind = networkKind(name);
  return kind === 'controlnet' ? name : networks[kind].component;
}
