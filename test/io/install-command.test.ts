import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { installCommand } from '../../src/io/install-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

/** A file of sdconvert where it is installed in a folder, which is a project if it has a package.json. */
function installedIn(folder: string, { isProject }: { readonly isProject: boolean }): string {
  mkdirSync(at(folder), { recursive: true });
  if (isProject) writeFileSync(at(join(folder, 'package.json')), '{}');
  return at(join(folder, 'node_modules/sdconvert/dist/js/install-command.js'));
}

test('what is missing is installed where sdconvert will look for it', async () => {
  const missing = ['bullmq@6.7.0', 'ioredis@6.0.0'];
  const app = installedIn('app', { isProject: true });
  const both = 'bullmq@6.7.0 ioredis@6.0.0';
  expect(await installCommand(missing, { file: app, current: at('app') })).toBe(`npm install ${both}`);
  // npx keeps sdconvert in a folder of its own, whatever the current one is.
  const npx = installedIn('.npm/_npx/0a1b', { isProject: true });
  expect(await installCommand(missing, { file: npx, current: at('app') })).toBe(
    `npm install --prefix ${at('.npm/_npx/0a1b')} ${both}`,
  );
  const global = installedIn('usr/lib', { isProject: false });
  expect(await installCommand(missing, { file: global, current: at('app') })).toBe(
    `npm install --global ${both}`,
  );
});

test('a folder that a shell would take apart is quoted', async () => {
  const file = installedIn('my app', { isProject: true });
  expect(await installCommand(['a'], { file, current: '/' })).toBe(
    `npm install --prefix '${at('my app')}' a`,
  );
});

test('in a clone of sdconvert it is plain', async () => {
  const file = at('clone/src/io/install-command.ts');
  expect(await installCommand(['a'], { file, current: '/' })).toBe('npm install a');
});
