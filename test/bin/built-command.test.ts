import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const temporary = temporaryFolder();

/** Builds the package as `npm run build` does, beside the modules that an installation would have. */
beforeAll(() => {
  const tool = (name: string, ...args: string[]) =>
    execFileSync(join(root, 'node_modules/.bin', name), args, { cwd: root, stdio: 'pipe' });
  tool('tsc', '-p', 'tsconfig.build.json', '--outDir', temporary('dist'));
  tool('rolldown', '-c', '--dir', temporary('dist/cli'));
  for (const folder of ['bin', 'models']) mkdirSync(temporary(folder));
  for (const file of ['package.json', 'bin/sdconvert.js']) copyFileSync(join(root, file), temporary(file));
  for (const folder of ['node_modules', 'assets', 'models/sd-shapes'])
    symlinkSync(join(root, folder), temporary(folder));
}, 120_000);

function run(main: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

test.for([
  '--help',
  'quantize --help',
  'generate --help',
  '--version',
  'convert --no-such-option',
  'validate',
  '--json inspect no/such/path',
  'inspect models/sd-shapes',
  '--model-version models/sd-shapes --dry-run --target coreml --quiet',
])('built or from source, the command line says the same: sdconvert %s', (line) => {
  const args = line.split(' ');
  const built = run(temporary('bin/sdconvert.js'), args);
  expect(built).toEqual(run(join(root, 'cli/main.ts'), args));
});

test('the built command converts, its worker threads and assets included', () => {
  const args = ['--model-version', 'models/sd-shapes', '--target', 'onnx', '--convert-vae-decoder'];
  const built = run(temporary('bin/sdconvert.js'), [...args, '--quiet', '-o', temporary('out')]);
  expect(built).toMatchObject({ status: 0, stderr: '' });
  expect(built.stdout).toContain('onnx/vae_decoder ');
});

test('every package that is built in has its licence in NOTICE', () => {
  const built = readFileSync(temporary('dist/cli/main.js'), 'utf8');
  const packages = built.matchAll(/^\/\/.*node_modules\/((?:@[^/]+\/)?[^/]+)\//gm);
  const names = new Set([...packages].map(([, name]) => name));
  expect(names).toContain('yargs');
  const notice = readFileSync(join(root, 'NOTICE'), 'utf8');
  const named = [...notice.matchAll(/^([\w@/-]+) +(?:MIT|ISC) /gm)].map(([, name]) => name);
  expect([...names].filter((name) => !named.includes(name))).toEqual([]);
});

test('help loads none of the library but small tables', () => {
  const hooks = `import { registerHooks } from 'node:module';
    registerHooks({ load(url, context, next) { process.stderr.write(url + '\\n'); return next(url, context); } });`;
  const preload = `data:text/javascript,${encodeURIComponent(hooks)}`;
  const args = ['--import', preload, temporary('bin/sdconvert.js'), '--help'];
  const loaded = spawnSync(process.execPath, args, { encoding: 'utf8' }).stderr.split('\n');
  const library = loaded.flatMap((url) => url.split('/dist/src/').slice(1));
  expect(library.sort()).toEqual([
    ...['core-ai-profiles', 'core-ml-profiles', 'onnx-profiles', 'profile', 'profiles'].map(
      (name) => `bundle/profiles/${name}.js`,
    ),
    ...[
      'checkpoint/lora/lora-argument.js',
      'errors.js',
      'formats/coreai/apple-folder.js',
      'formats/format.js',
      'io/error-code.js',
      'io/exhausted.js',
      'io/shell-word.js',
      'text.js',
      'version.js',
    ],
  ]);
  const packages = loaded.filter((url) => url.includes('/node_modules/'));
  expect(packages.map((url) => url.split('/node_modules/').at(-1))).toEqual(['fastest-levenshtein/mod.js']);
});
