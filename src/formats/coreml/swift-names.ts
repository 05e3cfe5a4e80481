import { cardOf, type NetworkKind, networkKinds } from '../../convert/networks/networks.ts';

/** What Apple's Swift package calls each network; a ControlNet, which has a name of its own, is not in it. */
export const swiftNames: ReadonlyMap<NetworkKind, string> = new Map(
  networkKinds.flatMap((kind) => {
    const { swiftName } = cardOf(kind);
    return swiftName === null ? [] : [[kind, swiftName] as const];
  }),
);

/** What the file of a ControlNet's package begins with; what follows is its id, `/` as `_`. */
export const CONTROLNET_PREFIX = 'ControlNet_';

/**
 * What apps know a ControlNet by, from its id or its package's name without prefix: the words between `/`, `_` and `-`,
 * capitalised as Python's `str.title` does and joined: `lllyasviel/sd-controlnet-mlsd` → `LllyasvielSdControlnetMlsd`.
 */
export function swiftControlNetName(id: string): string {
  return id
    .split(/[/_-]/)
    .map((word) => word.toLowerCase().replaceAll(/(?<!\p{L})\p{L}/gu, (letter) => letter.toUpperCase()))
    .join('');
}
