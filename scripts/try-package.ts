/**
 * Tries the package as a stranger would: packs it, installs the tarball into an empty folder with the documented switch for
 * onnxruntime, and there, on this Node and on the oldest that the package names, runs the command, converts the demo's model, draws
 * with it, and runs a program that imports the library, which is type-checked, too. Prints what an installation takes; ends with
 * exit code 1 where anything fails or npm warns.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const model = join(root, 'models/sd-shapes');
const { version, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** npm runs on the Node that runs this, whatever the machine has. */
const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip', PATH: pathTo(dirname(process.execPath)) };
/** On the disk, without onnxruntime's packages. */
const MOST_BYTES = 40e6;

/** Uses what most programs use: a result, an error, a scheduler, tensors. */
const program = `
import { createScheduler, convert, inspect, RequestError, type TensorData } from 'sdconvert';

const { artifacts } = await convert({
  modelVersion: ${JSON.stringify(model)},
  targets: ['onnx'],
  models: ['vae_decoder'],
  output: 'again',
});
const found = await inspect({ path: 'again/onnx/vae_decoder' });
const sample: TensorData<'f32'> = { dtype: 'f32', shape: [1], data: new Float32Array(1) };
const scheduler = createScheduler({ _class_name: 'EulerDiscreteScheduler' });
scheduler.setTimesteps(2);
if (!(new RequestError({ problem: 'x' }) instanceof Error) || artifacts.length !== 1) throw new Error('not as expected');
process.stdout.write([found.kind, sample.dtype, scheduler.timesteps.length].join(' '));
`;

const work = mkdtempSync(join(tmpdir(), 'sdconvert-package-'));
try {
  const tarball = pack();
  const folder = join(work, 'stranger');
  mkdirSync(folder);
  install(folder, tarball);
  checkTypes(folder);
  for (const node of [dirname(process.execPath), installOldestNode()]) {
    env.PATH = pathTo(node);
    tryCommand(folder);
    tryLibrary(folder);
  }
} finally {
  rmSync(work, { recursive: true, force: true, maxRetries: 3 });
}

function pack(): string {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', work], { cwd: root, stdio: 'pipe', env });
  const name = readdirSync(work).find((each) => each.endsWith('.tgz'));
  if (!name) throw new Error('npm pack wrote no tarball');
  say(`packed     ${megabytes(lstatSync(join(work, name)).size)}`);
  return join(work, name);
}

function install(folder: string, tarball: string): void {
  // Newer versions of npm ask which install scripts may run; onnxruntime-node's need not.
  const manifest = { private: true, type: 'module', allowScripts: { 'onnxruntime-node': false } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const { status, stdout, stderr } = spawnSync('npm', ['install', '--no-audit', '--no-fund', tarball], {
    cwd: folder,
    encoding: 'utf8',
    env,
  });
  const warnings = `${stdout}\n${stderr}`.split('\n').filter((line) => /\bwarn(ing)?\b/i.test(line));
  check(status === 0 && warnings.length === 0, `npm install: ${status}\n${stderr}${warnings.join('\n')}`);
  const bytes = bytesIn(join(folder, 'node_modules'));
  say(`installed  ${megabytes(bytes)} without onnxruntime`);
  check(bytes <= MOST_BYTES, `an installation takes more than ${megabytes(MOST_BYTES)}`);
}

/** The oldest Node that the package is for, from the npm packages of its builds, which need no install script. */
function installOldestNode(): string {
  const [oldest = ''] = /\d+\.\d+/.exec(engines.node) ?? [];
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const folder = join(work, 'oldest');
  execFileSync('npm', ['install', '--silent', '--prefix', folder, `${name}@${oldest}.0`], {
    stdio: 'pipe',
    env,
  });
  return join(folder, 'node_modules', name, 'bin');
}

function pathTo(node: string): string {
  return `${node}${delimiter}${process.env.PATH ?? ''}`;
}

function tryCommand(folder: string): void {
  say(`Node       ${execute(folder, 'node', ['--version']).trim()}`);
  check(run(folder, 'sdconvert', '--version').trim() === version, 'the command has another version');
  const start = performance.now();
  run(folder, 'sdconvert', model, '-o', 'out', '--force', '--quiet');
  const line = ['-i', 'out', '--prompt', 'a red circle', '--seed', '7', '--num-inference-steps', '2'];
  const drawn = run(folder, 'sdconvert', 'generate', ...line, '--quiet');
  check(drawn.includes('a_red_circle.7.final.png'), `nothing was drawn: ${drawn}`);
  say(`drawn      ${((performance.now() - start) / 1000).toFixed(1)} s after the conversion began`);
}

/** Type-checks the library's declarations, too (`skipLibCheck` is off). */
function checkTypes(folder: string): void {
  writeFileSync(join(folder, 'program.ts'), program);
  for (const [resolution, module] of [
    ['nodenext', 'nodenext'],
    ['bundler', 'esnext'],
  ] as const) {
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
    const settings = ['--strict', '--noEmit', '--target', 'es2023', '--lib', 'es2024', ...types];
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const modules = ['--module', module, '--moduleResolution', resolution];
    execute(folder, process.execPath, [tsc, ...settings, ...modules, 'program.ts']);
    say(`types      ${resolution}`);
  }
}

function tryLibrary(folder: string): void {
  say(`program    ${execute(folder, 'node', ['--disable-warning=ExperimentalWarning', 'program.ts'])}`);
}

function run(folder: string, command: string, ...args: readonly string[]): string {
  return execute(folder, join(folder, 'node_modules/.bin', command), args);
}

/** What a program prints; none of them may warn. */
function execute(folder: string, file: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(file, args, { cwd: folder, encoding: 'utf8', env });
  check(status === 0 && stderr === '', `${[file, ...args].join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('onnxruntime'))
    .map((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? bytesIn(path) : 512 * lstatSync(path).blocks;
    })
    .reduce((sum, bytes) => sum + bytes, 0);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function check(holds: boolean, problem: string): void {
  if (!holds) throw new Error(problem);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
