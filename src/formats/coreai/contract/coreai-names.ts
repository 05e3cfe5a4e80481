import { networkKind } from '../../../convert/networks/networks.ts';
import { type ArtifactId, nameOf } from '../../artifact-id.ts';
import { COREAI_FOLDER } from '../apple-folder.ts';

/**
 * Path of an asset relative to the output: `CoreAI/Unet.aimodel`. Networks are called as in Apple's Swift packages, a ControlNet
 * after its own `origin`, an id on the Hub or a name.
 */
export function coreAiPath(id: ArtifactId, origin: string): string {
  const by = networkKind(id.network) === 'controlnet' ? 'apple' : 'swift';
  return `${COREAI_FOLDER}/${nameOf(id, { by, origin })}.aimodel`;
}
