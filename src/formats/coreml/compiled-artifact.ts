import { join } from 'node:path';
import { RequestError } from '../../errors.ts';
import { pathKind } from '../../io/disk.ts';
import type { FormatRoom } from '../artifact.ts';
import { openMlModelC } from './compiled/read-bundle.ts';
import { milArtifact } from './mil-artifact.ts';
import { describeCoreMl } from './read-coreml-facts.ts';

/** Compiled Core ML models (`.mlmodelc`). */
export const compiledRoom: FormatRoom<'mlmodelc'> = {
  title: 'a compiled Core ML model',
  heading: 'Core ML mlmodelc',
  async locate(path, kind) {
    if (kind !== 'folder') return undefined;
    return (await pathKind(join(path, 'coremldata.bin'))) === 'file' ? path : undefined;
  },
  open: (path) => milArtifact({ format: 'mlmodelc', open: openMlModelC, ownPlace: notWritten }, path),
  describe: describeCoreMl,
};

function notWritten(path: string): never {
  throw new RequestError({
    problem: `${path} cannot be quantised in its place: compiled models are not written.`,
    advice: 'Name an --output that ends in .mlpackage, and compile it (sdconvert compile).',
  });
}
