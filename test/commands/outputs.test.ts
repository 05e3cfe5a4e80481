import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { clientNames } from '../../src/bundle/profiles/profile.ts';
import { bundlePackages } from '../../src/commands/bundle.ts';
import type { ConvertOptions } from '../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import type { Context } from '../../src/context.ts';
import { InterruptedError, OutputExistsError, RequestError } from '../../src/errors.ts';
import { targetNames } from '../../src/formats/format.ts';
import { whileLocked } from '../../src/io/disk.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const shapes = join(import.meta.dirname, '../../models/sd-shapes');
const temporary = temporaryFolder();
const small = { targets: ['onnx'], models: ['vae_encoder'] } satisfies Partial<ConvertOptions>;
const start = process.cwd();

/** The same network with other weights, under another name. */
let other: string;
beforeAll(() => {
  other = temporary('other');
  cpSync(shapes, other, { recursive: true });
  const file = join(other, 'vae/diffusion_pytorch_model.safetensors');
  const bytes = readFileSync(file);
  // A little of everything: the header stays.
  for (let at = bytes.length - 10_000; at > 100_000; at -= 1000) bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
});
afterEach(() => process.chdir(start));

function convert(output: string, more: Partial<ConvertOptions> = {}) {
  return convertCheckpoint({ modelVersion: shapes, ...small, output, ...more });
}

describe('an output folder', () => {
  test('is called as the checkpoint, and converting twice reuses it', async () => {
    process.chdir(temporary());
    const { output } = await convertCheckpoint({ modelVersion: shapes, ...small, bundle: false });
    expect(output).toBe('sd-shapes');
    const again = await convertCheckpoint({ modelVersion: shapes, ...small, bundle: false });
    expect(again.artifacts.map(({ kept }) => kept)).toEqual([true]);
  });

  test('is never the checkpoint itself, nor another, nor within it', async () => {
    for (const output of [other, join(other, 'vae')]) {
      const error = await rejectionOf(convert(output, { modelVersion: other, force: true }));
      expect(error).toBeInstanceOf(RequestError);
      expect(error.problem).toContain('the one to convert');
    }
    const error = await rejectionOf(convert(other, { force: true }));
    expect(error.problem).toBe(`${other} is a checkpoint: nothing is written into it.`);
    expect(readdirSync(other)).not.toContain('sdconvert.json');
    await expect(convert('')).rejects.toThrow('this is empty');
  });

  test('may not hold what sdconvert did not write, but for hidden files', async () => {
    const output = temporary('strangers');
    mkdirSync(output);
    writeFileSync(join(output, '.gitkeep'), '');
    await convert(output, { bundle: false });
    const crowded = temporary('crowded');
    mkdirSync(crowded);
    writeFileSync(join(crowded, 'thesis.docx'), 'years of work');
    const error = await rejectionOf(convert(crowded));
    expect(error).toBeInstanceOf(OutputExistsError);
    expect(error.problem).toContain('files that sdconvert did not write: thesis.docx');
    await convert(crowded, { force: true, bundle: false });
    expect(readFileSync(join(crowded, 'thesis.docx'), 'utf8')).toBe('years of work');
  });

  test('may hold other conversions in folders of their own', async () => {
    const output = temporary('above');
    await convert(join(output, 'below'), { bundle: false });
    await convert(output, { bundle: false });
    expect(readdirSync(output)).toContain('below');
    expect(readdirSync(join(output, 'below'))).toContain('sdconvert.json');
  });

  test('of one checkpoint refuses another by name, and --force removes all of the first', async () => {
    const output = temporary('mixed');
    await convert(output, { models: ['vae_encoder', 'vae_decoder'] });
    const error = await rejectionOf(convert(output, { modelVersion: other }));
    expect(error).toBeInstanceOf(OutputExistsError);
    expect(error.problem).toContain(`${output} holds a conversion of sd-shapes`);
    expect(error.details).toEqual({ 'to convert': 'other' });
    await convert(output, { modelVersion: other, force: true });
    expect(readdirSync(join(output, 'onnx')).filter((name) => name.startsWith('vae'))).toEqual([
      'vae_encoder',
    ]);
    const { checkpoint, artifacts } = readRecord(output);
    expect(checkpoint.name).toBe('other');
    expect(Object.keys(artifacts)).toEqual(['onnx', 'onnx/vae_encoder']);
  });

  test('loses with force what conversions write, and nothing else that a record names', async () => {
    const output = temporary('forged');
    await convert(output);
    const record = readRecord(output);
    const theirs = [
      ...['notes.txt', 'pictures/best/1.png', 'thesis.mlpackage/1.png', 'unet.mlpackage/Manifest.json'],
      ...['onnx/holiday/1.png', 'onnx/my_unet/1.png', 'onnx/notes.txt', 'onnx/tokenizer/mine.txt'],
      ...['Resources/mine.txt', 'Resources/controlnet/Mine.mlmodelc/model.mil', 'CoreAI/Thesis.aimodel/main'],
      ...['comfyui/thesis.mlpackage/Manifest.json', 'guernika/Holiday.mlmodelc/model.mil'],
      ...['holiday/Stable_Diffusion_version_x_unet.mlpackage/Manifest.json'],
    ];
    const [forged] = record.artifacts['onnx/vae_encoder'].files;
    for (const path of theirs) {
      mkdirSync(join(output, dirname(path)), { recursive: true });
      writeFileSync(join(output, path), 'mine');
      const [top = '', ...below] = path.split('/');
      record.artifacts[top] ??= { source: {}, options: {}, files: [] };
      record.artifacts[top].files.push({ ...forged, name: below.join('/') || 'x', byteLength: 4 });
      for (const folder of [path, dirname(path)].filter((each) => each !== '.' && each !== top))
        record.artifacts[folder] = { source: {}, options: {}, files: [forged] };
    }
    writeFileSync(join(output, 'sdconvert.json'), JSON.stringify(record));
    await convert(output, { modelVersion: other, models: ['vae_decoder'], force: true, bundle: false });
    expect(filesIn(output)).toEqual(
      [
        ...theirs,
        'sdconvert.json',
        ...['model.onnx', 'model.onnx_data'].map((name) => `onnx/vae_decoder/${name}`),
      ].sort(),
    );
    expect(Object.keys(readRecord(output).artifacts)).toEqual(['onnx/vae_decoder']);
  });

  test('loses with force all that was written for any client, and folders that are empty then', async () => {
    const [output, alone] = [temporary('all clients'), temporary('alone')];
    const next = { modelVersion: other, models: ['vae_decoder'], bundle: false } as const;
    await convert(output, { models: undefined, targets: targetNames, clients: clientNames });
    mkdirSync(join(output, 'guernika/mine'));
    await convert(output, { ...next, force: true });
    await convert(alone, next);
    expect(readdirSync(output)).toEqual(['guernika', ...readdirSync(alone)]);
    rmSync(join(output, 'guernika/mine'), { recursive: true });
    expect(readdirSync(join(output, 'guernika'))).toEqual([]);
    rmSync(join(output, 'guernika'), { recursive: true });
    for (const folder of ['.', 'onnx', 'onnx/vae_decoder'])
      expect(readdirSync(join(output, folder))).toEqual(readdirSync(join(alone, folder)));
    expect(readFileSync(join(output, 'sdconvert.json'))).toEqual(readFileSync(join(alone, 'sdconvert.json')));
  });

  test('loses with force what a run of another checkpoint wrote, and was killed before it recorded', async () => {
    const output = temporary('killed');
    await convert(output, { bundle: false });
    const record = { ...readRecord(output), pending: ['onnx/vae_encoder', 'onnx/unet'], artifacts: {} };
    writeFileSync(join(output, 'sdconvert.json'), JSON.stringify(record));
    await convert(output, { modelVersion: other, models: ['vae_decoder'], force: true, bundle: false });
    expect(readdirSync(join(output, 'onnx'))).toEqual(['vae_decoder']);
  });

  test('knows what a run wrote that was killed before it recorded, after another run of its checkpoint', async () => {
    const output = temporary('killed twice');
    await convert(output, { bundle: false });
    const record = { ...readRecord(output), pending: ['onnx/vae_encoder', 'onnx/unet'], artifacts: {} };
    writeFileSync(join(output, 'sdconvert.json'), JSON.stringify(record));
    await convert(output, { models: ['text_encoder'], bundle: false });
    expect(readRecord(output).pending).toEqual(['onnx/vae_encoder']);
    await convert(output, { modelVersion: other, models: ['vae_decoder'], force: true, bundle: false });
    expect(readdirSync(join(output, 'onnx'))).toEqual(['vae_decoder']);
  });

  test.each([
    ['a conversion', 'swift', 'Resources/TextEncoder.mlmodelc', 2],
    ['bundle', 'swift', 'Resources/TextEncoder.mlmodelc', 3],
    ['bundle', 'openvino', 'onnx-openvino/text_encoder', 1],
  ] as const)(
    'loses with force what %s for %s had bundled when it was interrupted',
    async (command, client, first, step) => {
      const output = temporary(`interrupted ${command} ${client}`);
      const all = { models: undefined, targets: ['onnx', 'coreml'] } as const;
      if (command === 'bundle') await convert(output, all);
      const stop = new AbortController();
      let [steps, begun] = [0, []];
      const context: Context = {
        signal: stop.signal,
        onProgress(event) {
          if (event.type !== 'progress' || event.stage !== 'bundle' || ++steps !== step) return;
          begun = readRecord(output).pending;
          stop.abort();
        },
      };
      const bundled =
        command === 'bundle'
          ? bundlePackages({ folder: output, clients: [client] }, context)
          : convertCheckpoint({ modelVersion: shapes, ...all, output }, context);
      await expect(bundled).rejects.toThrow(InterruptedError);
      expect(begun).toContain(first);
      expect(existsSync(join(output, first))).toBe(true);
      await convert(output, { modelVersion: other, models: ['vae_decoder'], force: true, bundle: false });
      expect(readdirSync(output)).toEqual(['onnx', 'sdconvert.json']);
    },
  );

  test('knows other weights of the same name', async () => {
    const output = temporary('same name');
    const twin = temporary('twin', 'sd-shapes');
    cpSync(other, twin, { recursive: true });
    await convert(output);
    const error = await rejectionOf(convert(output, { modelVersion: twin, models: ['vae_decoder'] }));
    expect(error.problem).toContain('other weights that are also called sd-shapes');
  });

  test('takes more of the same checkpoint, under whatever name it goes', async () => {
    const output = temporary('more');
    const moved = temporary('renamed');
    cpSync(shapes, moved, { recursive: true });
    await convert(output, { bundle: false });
    await convert(output, { modelVersion: moved, models: ['vae_decoder'], bundle: false });
    expect(readRecord(output).checkpoint.name).toBe('sd-shapes');
  });

  test('is written by one run at a time', async () => {
    const output = temporary('busy');
    await whileLocked(output, async () => {
      const error = await rejectionOf(convert(output));
      expect(error.problem).toContain(`another run is writing into ${output}`);
    });
    expect(existsSync(output)).toBe(false);
  });

  test('is not taken for a checkpoint', async () => {
    const output = temporary('output');
    await convert(output);
    const error = await rejectionOf(convert(temporary('again'), { modelVersion: output }));
    expect(error.problem).toContain('is the output of a conversion, not a checkpoint');
  });
});

describe('an existing result', () => {
  test('whose bytes were changed is not reused, though its size is right', async () => {
    const output = temporary('flipped');
    await convert(output);
    flip(join(output, 'onnx/vae_encoder/model.onnx_data'));
    const error = await rejectionOf(convert(output));
    expect(error).toBeInstanceOf(OutputExistsError);
    expect(error.problem).toContain('its model.onnx_data is not the file that was written');
    await convert(output, { force: true });
    await convert(output);
  });

  test.each([{}, { verify: true }])('with an old date and other bytes is not reused (%j)', async (more) => {
    const output = temporary(`backdated ${JSON.stringify(more)}`);
    await convert(output);
    const data = join(output, 'onnx/vae_encoder/model.onnx_data');
    flip(data);
    utimesSync(data, new Date(0), new Date(0));
    const error = await rejectionOf(convert(output, more));
    expect(error.problem).toContain('its model.onnx_data is not the file that was written');
  });

  test('in whose place another conversion’s was moved, with its old dates, is not reused', async () => {
    const [own, others] = [temporary('moved to'), temporary('moved from')];
    await convert(others, { modelVersion: other, bundle: false });
    await convert(own, { bundle: false });
    rmSync(join(own, 'onnx/vae_encoder'), { recursive: true });
    renameSync(join(others, 'onnx/vae_encoder'), join(own, 'onnx/vae_encoder'));
    const error = await rejectionOf(convert(own, { bundle: false }));
    expect(error.problem).toMatch(/its model\.onnx\w* is not the file that was written/);
  });

  test('that was changed is not reused after other commands changed the record', async () => {
    const output = temporary('laundered');
    const all = { models: ['vae_encoder', 'text_encoder'] } as const;
    await convert(output, { ...all, bundle: false });
    flip(join(output, 'onnx/vae_encoder/model.onnx_data'));
    await convert(output, { models: ['vae_decoder'], bundle: false });
    await quantizeArtifact({
      artifact: join(output, 'onnx/text_encoder'),
      inPlace: true,
      plan: planQuantization({ bits: 8 }),
    });
    await bundlePackages({ folder: output, clients: ['openvino'] }).catch(() => {}); // it lacks a UNet
    const error = await rejectionOf(convert(output, { bundle: false }));
    expect(error.problem).toContain('its model.onnx_data is not the file that was written');
    await convert(output, { force: true, bundle: false });
    const { artifacts } = await convert(output, { bundle: false });
    expect(artifacts.map(({ kept }) => kept)).toEqual([true]);
  });

  test('that was changed gives its good name to nothing that is made of it', async () => {
    const output = temporary('made of');
    await convert(output, { bundle: false });
    const before = readRecord(output);
    flip(join(output, 'onnx/vae_encoder/model.onnx_data'));
    const notes: string[] = [];
    await quantizeArtifact(
      { artifact: join(output, 'onnx/vae_encoder'), inPlace: true, plan: planQuantization({ bits: 8 }) },
      { onProgress: (event) => void (event.type === 'note' && notes.push(event.message)) },
    );
    expect(readRecord(output)).toEqual(before);
    expect(notes.join()).toContain('model.onnx_data is not the file that was written');
    await expect(convert(output, { bundle: false })).rejects.toThrow('was written');
  });

  test.each(['nothing', 'the model alone', 'another size'])(
    'of whose files %s is on record is not reused',
    async (what) => {
      const output = temporary(`on record ${what}`);
      await convert(output, { bundle: false });
      const record = readRecord(output);
      const written = record.artifacts['onnx/vae_encoder'];
      const [model, data] = written.files;
      const size = data.byteLength - 4;
      const files = {
        nothing: [],
        'the model alone': [model],
        'another size': [model, { ...data, byteLength: size }],
      }[what];
      Object.assign(written, { files });
      writeFileSync(join(output, 'sdconvert.json'), JSON.stringify(record));
      truncateSync(join(output, 'onnx/vae_encoder', data.name), size);
      const error = await rejectionOf(convert(output, { bundle: false }));
      expect(error).toBeInstanceOf(OutputExistsError);
      expect(error.problem).toMatch(/its model\.onnx(_data)? is not on record as it would be written/);
    },
  );

  test.each(['options', 'source'])(
    'with what every object has among its %s is told as it is on record',
    async (part) => {
      const output = temporary(`inherited ${part}`);
      await convert(output, { bundle: false });
      const record = readRecord(output);
      record.artifacts['onnx/vae_encoder'][part].constructor = 'x';
      writeFileSync(join(output, 'sdconvert.json'), JSON.stringify(record));
      const error = await rejectionOf(convert(output, { bundle: false }));
      expect(error.problem).toMatch(/constructor was "x", now not set|was made from constructor/);
    },
  );

  test('that was copied elsewhere, with newer dates, is reused once its bytes are found right', async () => {
    const output = temporary('original');
    await convert(output, { bundle: false });
    const copy = temporary('copied');
    cpSync(output, copy, { recursive: true });
    const later = new Date(Date.now() + 60_000);
    utimesSync(join(copy, 'onnx/vae_encoder/model.onnx_data'), later, later);
    const { artifacts } = await convert(copy, { bundle: false });
    expect(artifacts.map(({ kept }) => kept)).toEqual([true]);
  });

  test('of a run that was cut short before it was recorded is replaced without being asked', async () => {
    const output = temporary('cut short');
    await convert(output, { bundle: false });
    const record = readRecord(output);
    const unfinished = { ...record, pending: ['onnx/vae_encoder'], artifacts: {} };
    writeFileSync(join(output, 'sdconvert.json'), JSON.stringify(unfinished));
    await convert(output, { bundle: false });
    expect(readRecord(output)).toEqual(record);
    rmSync(output, { recursive: true });
  });
});

test('networks can be left out by name', async () => {
  const output = temporary('without');
  const { artifacts } = await convert(output, {
    models: undefined,
    without: ['unet', 'text_encoder', 'vae_encoder'],
    dryRun: true,
  });
  expect(artifacts.map(({ name }) => name)).toEqual(['vae_decoder']);
});

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => relative(folder, join(parentPath, name))).sort();
}

function readRecord(output: string) {
  return JSON.parse(readFileSync(join(output, 'sdconvert.json'), 'utf8'));
}

function flip(file: string): void {
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}
