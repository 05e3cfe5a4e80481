import { cardOf, type NetworkKind, type NetworkName, networkKind } from '../convert/networks/networks.ts';
import { parseName } from '../formats/artifact-id.ts';

/** Network of a model of a kind: its name where that is more precise (`refiner`, `text_encoder_2`, `controlnet_1`). */
export function networkCalled(name: string, kind: NetworkKind): NetworkName {
  const { network } = parseName(name);
  if (network === undefined) return kind;
  return networkKind(network) === kind || cardOf(network).like === kind ? network : kind;
}
