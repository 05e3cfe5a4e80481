import { cardOf } from '../convert/networks/networks.ts';
import { FileFormatError } from '../errors.ts';
import type { ArtifactFacts } from '../formats/artifact.ts';
import { firstOf, quote } from '../io/error-text.ts';
import { networkOf, recordedNames } from './tensor-names.ts';

/** An artifact, and what is known of it without running it. */
export interface Chunk extends Pick<ArtifactFacts, 'chunk' | 'inputs' | 'outputs' | 'metadata'> {
  readonly path: string;
}

/** What chunks of one model say alike: Core ML models name the checkpoint so. */
const identity = ['model', 'version', 'author'];

/**
 * Refuses chunks, in order, that do not make a model: where one is missing, or of another cut, or says that it is of another
 * checkpoint. Whole models are not looked at. Throws `FileFormatError`.
 */
export function checkChunks(chunks: readonly Chunk[]): void {
  const [first] = chunks;
  const last = chunks.at(-1);
  if (!first || !last || !chunks.some(({ chunk }) => chunk !== undefined)) return;
  const { index = 1 } = first.chunk ?? {};
  if (index > 1) throw incomplete(`${first.path} is chunk ${index} of its model, and there is no chunk 1`);
  // Of all: a UNet's first chunk does not take the residuals of a ControlNet, by which the whole is known.
  const network = networkOf(chunks.flatMap(({ inputs }) => inputs.map(({ name }) => name)));
  // Only UNets are cut; who needs a network tells what it takes instead.
  if (!network || cardOf(network).part !== 'unet') return;
  for (const each of chunks) checkIdentity(first, each);
  const { inputs, outputs } = recordedNames(network);
  const given = new Set<string>();
  for (const each of chunks) {
    const missing = each.inputs.find(
      ({ name }) =>
        !given.has(name) && !inputs.some((known) => name === known || name.startsWith(`${known}_`)),
    );
    if (missing)
      throw incomplete(`${each.path} takes what no chunk before it gives`, { takes: quote(missing.name) });
    for (const { name } of each.outputs) given.add(name);
  }
  if (!last.outputs.some(({ name }) => outputs.includes(name)))
    throw incomplete(`${last.path} is not the last chunk of its model, and there is none after it`, {
      expected: outputs.join(' or '),
      gives: firstOf(last.outputs.map(({ name }) => quote(name))),
    });
}

function checkIdentity(first: Chunk, other: Chunk): void {
  for (const key of identity) {
    const [one, another] = [first.metadata[key], other.metadata[key]];
    if (one === undefined || another === undefined || one === another) continue;
    throw new FileFormatError({
      problem: `${first.path} and ${other.path} are chunks of two models.`,
      details: { [key]: `${quote(one)} and ${quote(another)}` },
      advice: 'Take all chunks from one conversion.',
    });
  }
}

function incomplete(what: string, details: Readonly<Record<string, string>> = {}): FileFormatError {
  return new FileFormatError({
    problem: `${what}.`,
    details,
    advice:
      'Copy or download all chunks of the model again, or cut it again (sdconvert chunk): one is missing, or they are of several cuts.',
  });
}
