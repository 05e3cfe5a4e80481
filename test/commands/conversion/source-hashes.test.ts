import { createHash } from 'node:crypto';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Component } from '../../../src/checkpoint/checkpoint.ts';
import { SourceHashes } from '../../../src/commands/conversion/source-hashes.ts';
import { InterruptedError } from '../../../src/errors.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const at = temporaryFolder();

/** A component whose one weight file has these bytes, or so many zeros. */
function component(name: string, contents: string | number): Component {
  mkdirSync(at(name));
  const [file, configFile] = [at(name, 'model.safetensors'), at(name, 'config.json')];
  writeFileSync(file, String(contents));
  if (typeof contents === 'number') truncateSync(file, contents);
  writeFileSync(configFile, '{}');
  return { name, className: '', config: {}, configFile, weights: new Map(), files: [file] };
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

test('hashes that were begun are those that are asked for later', async () => {
  const sources = new SourceHashes(at(), undefined);
  const unet = component('unet', 'weights');
  sources.begin([unet]);
  expect(await sources.of(unet)).toEqual({
    'unet/model.safetensors': sha256('weights'),
    'unet/config.json': sha256('{}'),
  });
  await sources.close();
});

test('what is no longer needed is not hashed to its end', async () => {
  const sources = new SourceHashes(at(), undefined);
  const large = component('large', 100e6);
  sources.begin([large, component('next', 100e6)]);
  await sources.close();
  expect(await rejectionOf(sources.of(large))).toBeInstanceOf(InterruptedError);
});
