import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();
const project = fileURLToPath(new URL('../..', import.meta.url));

/** An installed package, with or without its built part: a command line that prints its arguments. */
function installed({ built }: { built: boolean }): string {
  const folder = inFolder(built ? 'built' : 'not-built');
  mkdirSync(join(folder, 'bin'), { recursive: true });
  copyFileSync(join(project, 'bin/sdconvert.js'), join(folder, 'bin/sdconvert.js'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  if (built) {
    mkdirSync(join(folder, 'dist/js'), { recursive: true });
    writeFileSync(
      join(folder, 'dist/js/main.js'),
      'console.log(...process.argv.slice(2)); process.exitCode = 3;',
    );
  }
  return join(folder, 'bin/sdconvert.js');
}

function run(node: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(node, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** Runs with this Node, which says that it is another version. */
function runAs(version: string, bin: string) {
  const versions = `{ value: { ...process.versions, node: '${version}' } }`;
  const pretend = `data:text/javascript,Object.defineProperty(process, 'versions', ${encodeURIComponent(versions)})`;
  return run(process.execPath, ['--import', pretend, bin, 'inspect', 'unet']);
}

describe('the published command', () => {
  let bin = '';
  beforeAll(() => {
    bin = installed({ built: true });
  });

  test.for(['22.18.0', '23.0.0', '24.21.0', '100.0.0'])(
    'runs on Node %s, and gives its exit code',
    (version) => {
      expect(runAs(version, bin)).toEqual({ status: 3, stdout: 'inspect unet\n', stderr: '' });
    },
  );

  test.for(['12.22.12', '20.20.2', '22.17.9'])('says what to do on Node %s, in two lines', (version) => {
    const { status, stdout, stderr } = runAs(version, bin);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toEqual([
      `sdconvert needs Node 22.18 or newer, and this is Node ${version} (${process.execPath}).`,
      'Install a newer one from https://nodejs.org (or: nvm install 24), and run the command again.',
    ]);
  });

  const oldNode = findOldNode();
  test.skipIf(!oldNode)('says the same on an older Node that is installed here', () => {
    const { status, stderr } = run(oldNode ?? '', [bin]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^sdconvert needs Node 22\.18 or newer, .*\n.*\n$/);
  });

  test('asks for the version that package.json asks for', () => {
    const { engines } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
    expect(engines).toEqual({ node: '>=22.18' });
  });
});

test('a clone that has not been built says how to build it', () => {
  const { status, stderr } = runAs('24.21.0', installed({ built: false }));
  expect(status).toBe(1);
  expect(stderr).toBe(
    'sdconvert has not been built here: dist/js/main.js is missing.\nBuild it first: npm run build\n',
  );
});

/** A node on the PATH that is too old, if there is one. */
function findOldNode(): string | undefined {
  const nodes = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  return nodes.find(
    (node) =>
      existsSync(node) && Number(run(node, ['-p', 'process.versions.node.split(".")[0]']).stdout) < 22,
  );
}
