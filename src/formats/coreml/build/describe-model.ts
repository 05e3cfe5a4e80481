import { type NetworkCard, portForm } from '../../../convert/networks/card.ts';
import { cardOf, type NetworkName } from '../../../convert/networks/networks.ts';
import type { PackageDescription } from './build-model.ts';

/** Facts that a description has besides the network. */
export interface Described {
  /** Hub id or name of the checkpoint, whose model card names the author; `version` when left out. */
  readonly modelVersion?: string;
  /** The licence of the checkpoint's family. */
  readonly license: string;
  /** Names of its outputs: ControlNets differ in their number of residuals. */
  readonly outputs?: readonly string[];
  readonly userDefined?: PackageDescription['userDefined'];
}

/**
 * The description of a model made of `version`: the Hub id or name of the checkpoint; of a refiner or a ControlNet, its
 * own.
 */
export function describeModel(
  name: NetworkName,
  version: string,
  { license, modelVersion = version, outputs = [], userDefined = {} }: Described,
): PackageDescription {
  const card = cardOf(name);
  return {
    shortDescription: card.shortDescription,
    features: Object.fromEntries([card.inputs, card.outputs].flatMap((ports) => textsOf(ports, outputs))),
    version,
    author: `Please refer to the Model Card available at huggingface.co/${modelVersion}`,
    license,
    userDefined,
  };
}

/** The texts of ports, by Apple's names; of several tensors in a row, by the names that are given. */
function textsOf(ports: NetworkCard['outputs'], given: readonly string[]): [string, string][] {
  return Object.values(ports).flatMap((port) => {
    const { text } = port;
    const name = portForm(port, 'apple')?.name;
    if (text === null || name === undefined) return [];
    const names = typeof name === 'function' ? given : [name];
    return names.map((each): [string, string] => [each, text]);
  });
}
