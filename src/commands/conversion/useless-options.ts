import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { cardOf, componentOf, type NetworkName } from '../../convert/networks/networks.ts';
import { RequestError } from '../../errors.ts';
import type { ConvertRequest } from './request.ts';

/** An option that concerns some networks only. */
interface Concern {
  readonly option: string;
  /** Completes "… concerns": the networks. */
  readonly networks: string;
  readonly isGiven: (request: ConvertRequest) => boolean;
  readonly concerns: (network: NetworkName) => boolean;
}

const isUnet = (network: NetworkName): boolean => cardOf(network).part === 'unet';
const readsText = (network: NetworkName): boolean => isUnet(network) || cardOf(network).part === 'controlnet';
const hasLatents = (network: NetworkName): boolean =>
  !['text_encoder', 'safety_checker'].includes(cardOf(network).part);

const concerns: readonly Concern[] = [
  {
    option: '--chunk-unet',
    networks: 'the UNet',
    isGiven: ({ maxChunkBytes }) => maxChunkBytes !== undefined,
    concerns: isUnet,
  },
  {
    option: '--unet-support-controlnet',
    networks: 'the UNet',
    isGiven: ({ controlledUnet }) => controlledUnet === true,
    concerns: isUnet,
  },
  {
    option: '--unet-batch-one',
    networks: 'the UNet',
    isGiven: ({ sizes }) => sizes.unetBatch !== undefined,
    concerns: readsText,
  },
  {
    option: '--text-token-sequence-length',
    networks: 'UNets and ControlNets',
    isGiven: ({ sizes }) => sizes.textTokens !== undefined,
    concerns: readsText,
  },
  {
    option: '--latent-h and --latent-w',
    networks: 'UNets, ControlNets and VAEs',
    isGiven: ({ sizes }) => sizes.latentHeight !== undefined || sizes.latentWidth !== undefined,
    concerns: hasLatents,
  },
  {
    option: '--quantize-nbits',
    networks: 'UNets, text encoders and ControlNets',
    isGiven: ({ quantization }) => quantization !== undefined,
    concerns: (network) => cardOf(network).fewerBits,
  },
  {
    option: '--refiner-version',
    networks: 'the refiner’s UNet',
    isGiven: ({ refinerVersion }) => refinerVersion !== undefined,
    concerns: (network) => network === 'refiner',
  },
];

/**
 * Throws `RequestError` for an option, or a LoRA, that concerns none of the networks that are converted: who passes it expects
 * something of it.
 */
export function refuseUseless(
  request: ConvertRequest,
  { loras = [] }: Pick<Checkpoint, 'loras'>,
  networks: readonly NetworkName[],
): void {
  const useless = concerns.find((each) => each.isGiven(request) && !networks.some(each.concerns));
  if (useless) throw changesNothing(useless.option, useless.networks, networks);
  const components = new Set(networks.map(componentOf));
  for (const { name, layers } of loras) {
    const changed = Object.keys(layers);
    if (changed.length > 0 && !changed.some((component) => components.has(component)))
      throw changesNothing(`the LoRA ${name}`, `the ${changed.join(' and the ')}`, networks);
  }
}

function changesNothing(what: string, concerned: string, networks: readonly NetworkName[]): RequestError {
  return new RequestError({
    problem: `${what} would change nothing: it concerns ${concerned}, and none of these is converted.`,
    details: { 'to convert': [...new Set(networks)].join(', ') },
    advice: 'Leave it out, or convert what it is for.',
  });
}
