import { clientNames } from '../../bundle/profiles/profile.ts';
import { profiles } from '../../bundle/profiles/profiles.ts';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { cardOf, componentOf, type NetworkName, networkKind } from '../../convert/networks/networks.ts';
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
  ...clientNames.map((client) => ({
    option: `--for ${client}`,
    networks: `the networks that ${client} loads`,
    isGiven: ({ clients = [] }: ConvertRequest) => clients.includes(client),
    concerns: (network: NetworkName) => profiles[client].networks.includes(networkKind(network)),
  })),
];

/**
 * Notes on options, and LoRAs, that concern none of the networks that are converted. No error: scripts convert one network after
 * the other with the same options, as those of Apple's tool do.
 */
export function uselessNotes(
  request: ConvertRequest,
  { loras = [] }: Pick<Checkpoint, 'loras'>,
  networks: readonly NetworkName[],
): string[] {
  const useless = concerns.filter((each) => each.isGiven(request) && !networks.some(each.concerns));
  const components = new Set(networks.map(componentOf));
  const changed = loras.map(({ name, layers }) => ({ name, changed: Object.keys(layers) }));
  const idle = changed.filter(
    (lora) => lora.changed.length > 0 && !lora.changed.some((each) => components.has(each)),
  );
  return [
    ...useless.map((each) => changesNothing(each.option, each.networks)),
    ...idle.map((lora) => changesNothing(`the LoRA ${lora.name}`, `the ${lora.changed.join(' and the ')}`)),
  ];
}

function changesNothing(what: string, concerned: string): string {
  return `${what} changes nothing here: it concerns ${concerned}, and none is converted.`;
}
