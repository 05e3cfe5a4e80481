import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { bundledForPage } from '../support/bundled-for-page.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const temporary = temporaryFolder();

/** The sources that a built script is made of, as the build notes them: `src/text.ts`, `node_modules/yargs/yargs.mjs`. */
function builtIn(script: string): string[] {
  const notes = readFileSync(script, 'utf8').matchAll(/^\/\/ ((?:cli|src|node_modules)\/\S+)$/gm);
  return [...notes].map(([, path = '']) => path);
}

/** Builds the package as `npm run build` does, beside the modules that an installation would have. */
beforeAll(() => {
  const tool = (name: string, ...args: string[]) =>
    execFileSync(join(root, 'node_modules/.bin', name), args, { cwd: root, stdio: 'pipe' });
  tool('rolldown', '-c', '--dir', temporary('dist/js'));
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

test('what a page imports has nothing of Node when it is built, in the files that it shares, either', async () => {
  const { outside } = await bundledForPage(temporary('dist/js/browser.js'));
  expect(outside).toEqual([]);
});

test('every package that is built in has its licence in NOTICE', () => {
  const scripts = readdirSync(temporary('dist/js')).map((name) => builtIn(temporary('dist/js', name)));
  const packages = scripts.flat().flatMap((path) => path.split('node_modules/').slice(1));
  const names = new Set(packages.map((path) => /^(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? ''));
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
  const scripts = loaded.filter((url) => url.includes('/dist/js/')).map((url) => fileURLToPath(url));
  const library = scripts.flatMap(builtIn).flatMap((path) => path.split(/^src\//).slice(1));
  expect(library.sort()).toEqual([
    ...['core-ai-profiles', 'core-ml-profiles', 'onnx-profiles', 'profile', 'profiles'].map(
      (name) => `bundle/profiles/${name}.ts`,
    ),
    ...[
      'checkpoint/lora/lora-argument.ts',
      'errors.ts',
      'formats/coreai/apple-folder.ts',
      'formats/format.ts',
      'io/error-code.ts',
      'io/exhausted.ts',
      'io/shell-word.ts',
      'text.ts',
      'version.ts',
    ],
  ]);
  const packages = loaded.filter((url) => url.includes('/node_modules/'));
  expect(packages.map((url) => url.split('/node_modules/').at(-1))).toEqual(['fastest-levenshtein/mod.js']);
});
