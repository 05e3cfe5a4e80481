import { cardOf, type NetworkName } from '../../convert/networks/networks.ts';
import { RequestError } from '../../errors.ts';
import type { Graph } from '../../graph/graph.ts';
import { formatBytes } from '../../text.ts';
import { version } from '../../version.ts';
import { type PlannedFile, totalBytes } from '../artifact.ts';
import type { Asset } from './asset.ts';
import { buildProgram } from './lower/build-program.ts';

/** Where an asset comes from. */
export interface AssetOrigin {
  /** Id on the Hub or name of the checkpoint; of a ControlNet, its own. */
  readonly checkpoint: string;
  /** Of the checkpoint's family. */
  readonly license: string;
  /** How it was made, by name: attention, precision. */
  readonly options: Readonly<Record<string, string>>;
}

/** Builds the asset of a network's graph. No weight is read. */
export function buildAsset(
  network: NetworkName,
  graph: Graph,
  { checkpoint, license, options }: AssetOrigin,
): Asset {
  const metadata = {
    author: `Please refer to the Model Card available at huggingface.co/${checkpoint}`,
    license,
    description: cardOf(network).shortDescription,
    creatorDefinedMetadata: { model: network, checkpoint, ...options, sdconvert: version },
  };
  return { program: buildProgram(graph), metadata };
}

/** The most bytes that Apple's runtime loads as one allocation of a GPU, on devices with 8 GB of memory. */
export const MOST_BYTES = 4 * 2 ** 30;

/** Throws `RequestError` for an asset that Apple's runtime would not load everywhere: it loads each in one piece. */
export function refuseTooLarge(network: NetworkName, files: readonly PlannedFile[]): void {
  const byteLength = totalBytes(files);
  if (byteLength <= MOST_BYTES) return;
  throw new RequestError({
    problem: `${cardOf(network).title} would be one Core AI asset of ${formatBytes(byteLength)}, and devices with 8 GB of memory load at most ${formatBytes(MOST_BYTES)} in one piece.`,
    advice: 'Store its weights in fewer bits: --quantize-nbits 8 (or 6, or 4).',
  });
}
