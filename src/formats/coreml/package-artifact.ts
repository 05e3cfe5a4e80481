import { join } from 'node:path';
import { pathKind } from '../../io/disk.ts';
import type { FormatRoom } from '../artifact.ts';
import { milArtifact } from './mil-artifact.ts';
import { openMlPackage } from './package/read-package.ts';
import { describeCoreMl } from './read-coreml-facts.ts';

/** Core ML packages (`.mlpackage`). */
export const packageRoom: FormatRoom<'mlpackage'> = {
  title: 'a Core ML package',
  heading: 'Core ML mlpackage',
  async locate(path, kind) {
    if (kind !== 'folder' || (await pathKind(join(path, 'Manifest.json'))) !== 'file') return undefined;
    return (await pathKind(join(path, 'Data'))) === 'folder' ? path : undefined;
  },
  open: (path) => milArtifact({ format: 'mlpackage', open: openMlPackage, ownPlace: (place) => place }, path),
  describe: describeCoreMl,
};
