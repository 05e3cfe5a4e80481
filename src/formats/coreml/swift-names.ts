import { cardOf, type NetworkKind, networkKinds } from '../../convert/networks/networks.ts';

/** Names of the networks in Apple's Swift package; ControlNets have names of their own. */
export const swiftNames: ReadonlyMap<NetworkKind, string> = new Map(
  networkKinds.flatMap((kind) => {
    const { swiftName } = cardOf(kind);
    return swiftName === null ? [] : [[kind, swiftName] as const];
  }),
);

/** Prefix of a ControlNet package's file name; its id follows, with `_` for `/`. */
export const CONTROLNET_PREFIX = 'ControlNet_';

/**
 * Name of a ControlNet for apps, from its id or its package's name without prefix: the words between `/`, `_` and `-`,
 * capitalised as Python's `str.title` does and joined: `lllyasviel/sd-controlnet-mlsd` → `LllyasvielSdControlnetMlsd`.
 */
export function swiftControlNetName(id: string): string {
  return id
    .split(/[/_-]/)
    .map((word) => word.toLowerCase().replaceAll(/(?<!\p{L})\p{L}/gu, (letter) => letter.toUpperCase()))
    .join('');
}
