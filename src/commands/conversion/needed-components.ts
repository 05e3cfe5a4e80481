import { cardOf, componentOf, type NetworkName, networkKinds } from '../../convert/networks/networks.ts';
import { isWeightFile } from '../../hub/hub-id.ts';
import type { ConvertRequest } from './request.ts';

/** What decides which weights of a checkpoint are read. */
type Wanted = Pick<ConvertRequest, 'models' | 'without' | 'customVaeVersion' | 'controlnets' | 'minPsnr'>;

/** Networks that read text, whose realistic inputs are encoded by the checkpoint's own text encoders. */
const readsText: ReadonlySet<string> = new Set(['unet', 'controlnet']);

/** Whether a conversion reads the weights of the checkpoint's component, by its name. */
export function componentsNeeded(wanted: Wanted): (component: string) => boolean {
  const { customVaeVersion, controlnets = [], minPsnr } = wanted;
  const networks = networkKinds.filter((name) => isWanted(name, wanted));
  const components = new Set(networks.map(componentOf));
  // A single file may hold no more than a ControlNet's changes to the UNet.
  if (controlnets.some((name) => isWeightFile(name))) components.add('unet');
  const isChecked = minPsnr !== undefined;
  if (isChecked && (controlnets.length > 0 || networks.some((name) => readsText.has(cardOf(name).part))))
    for (const encoder of ['text_encoder', 'text_encoder_2']) components.add(encoder);
  if (customVaeVersion !== undefined) components.delete('vae');
  return (component) => components.has(component.replace(/^(controlnet)_\d+$/, '$1'));
}

function isWanted(name: NetworkName, { models, without = [] }: Wanted): boolean {
  const isNamed = (wanted: NetworkName): boolean => name === wanted || cardOf(name).part === wanted;
  return models ? models.some(isNamed) : !without.some(isNamed);
}
