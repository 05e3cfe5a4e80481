import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assembleCard } from '../../src/commands/reporting/assemble.ts';
import { readFolder, requireArtifacts } from '../../src/commands/reporting/read-folder.ts';
import { reportDefaults } from '../../src/commands/reporting/request.ts';
import { licenceIn } from '../../src/report/facts/licence.ts';
import { modelCard } from '../../src/report/render/model-card.ts';
import { requestedRange } from '../../src/web/requested-range.ts';
import { servedFile } from '../../src/web/served-file.ts';
import { strangerIn } from '../../src/web/stranger-in.ts';
import type { Files, Format } from '../format.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { jsonMutators } from '../mutate-json.ts';
import { mutateWords } from '../mutate-text.ts';
import { onnxSeeds } from './artifact-seeds.ts';
import { checkSentences } from './attempts.ts';
import { bytesOf } from './seeds.ts';

/** What reports, pages and the server of pages read. */

function text(value: object): Uint8Array {
  return bytesOf(JSON.stringify(value));
}

export const modelCards: Format = {
  name: 'model cards',
  seeds: async () => [
    new Map([
      [
        'README.md',
        bytesOf(
          '---\nlicense: creativeml-openrail-m\nlicense_name: x\ntags:\n- a\n- &b c\nwidget: { text: *b }\n---\n# A model\n',
        ),
      ],
    ]),
  ],
  parts: [
    {
      files: /./,
      mutators: [mutateWords(['&a', '*a', '!!js/function', '<<:', '- ', '{', '[', '---\n']), mutateBytes],
    },
  ],
  read: licenceIn,
};

const sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const record = {
  sdconvert: '0.1.0',
  checkpoint: { name: 'sd', components: { unet: '0123456789abcdef' } },
  hub: [{ repo: 'org/name', commit: 'abc', files: ['unet/config.json'] }],
  pipeline: { scheduler: { _class_name: 'PNDMScheduler', prediction_type: 'epsilon' } },
  artifacts: {
    'onnx/unet': {
      source: { 'unet/config.json': sha256 },
      options: {
        precision: 'float16',
        attention: 'ORIGINAL',
        quantization: { bits: 6, mode: 'linear' },
        loras: [{ name: 'a', scale: 0.5, sha256 }],
      },
      files: [{ name: 'model.onnx', byteLength: 1, sha256 }],
      findings: [{ problem: 'huge', weight: 'w', elements: 4, value: 1e30 }],
    },
  },
};

const analysis = {
  measured: { model: { 'model.onnx': sha256 }, inputs: ['a'], bits: [4, 8], peak: 3.5 },
  weights: { 'conv_in.weight': { elements: 100, bytes: 200, errors: { 4: 0.5, 8: 1e-5 } } },
  points: [{ bits: 4, bytes: 100, psnr: 30 }],
};

export const reports: Format = {
  name: 'reports',
  async seeds(): Promise<Files[]> {
    const [model = new Map()] = await onnxSeeds();
    return [
      new Map([
        ['sdconvert.json', text(record)],
        ['onnx/unet.analysis.json', text(analysis)],
        ['onnx/scheduler/scheduler_config.json', text({ _class_name: 'PNDMScheduler' })],
        ...[...model].map(([name, bytes]) => [`onnx/unet/${name}`, bytes] as const),
      ]),
    ];
  },
  parts: [{ files: /json$/, mutators: jsonMutators }],
  async read(folder) {
    const found = await requireArtifacts(folder);
    const read = await readFolder(folder, found, undefined);
    const parts = { reference: undefined, measured: [], checkpoint: undefined, pictures: null };
    const card = await assembleCard({ ...read, ...parts, request: { ...reportDefaults, folder } });
    checkSentences(card.lint.map(({ problem }) => problem));
    const cost = { bytes: 0, conversion: null, report: [], peakBytes: 0, read: 0, written: 0, machine: '' };
    modelCard({ ...card, cost });
  },
};

export const webPages: Format = {
  name: 'web pages',
  seeds: async () => {
    const file = { path: 'models/unet/model.onnx', byteLength: 1, sha256 };
    const plan = {
      unet: { family: 'sd1' },
      models: { unet: { model: file, data: [{ ...file, name: 'a' }] } },
      tokenizers: { text_encoder: file },
    };
    return [
      new Map([
        ['plan.json', text(plan)],
        ['index.html', bytesOf('')],
        ['models/unet/model.onnx', bytesOf('')],
      ]),
    ];
  },
  parts: [{ files: /json$/, mutators: jsonMutators }],
  read: strangerIn,
};

export const servedAddresses: Format = {
  name: 'served addresses',
  seeds: async () => [
    new Map([
      ['request', bytesOf('/models/unet/model.onnx?a=b#c\nbytes=0-10')],
      ['site/index.html', bytesOf('')],
      ['site/models/unet/model.onnx', bytesOf('0123456789')],
    ]),
  ],
  parts: [
    {
      files: /^request$/,
      mutators: [mutateWords(['..', '%2e', '%2F', '%00', '\\', '//', 'bytes=', '-', '\n', '/']), mutateBytes],
    },
  ],
  async read(folder) {
    const [address = '', range] = readFileSync(join(folder, 'request'), 'utf8').split('\n');
    const site = join(folder, 'site');
    const served = await servedFile(site, address);
    if (served.kind === 'file' && !served.path.startsWith(site))
      throw new Error(`${address} leads out of the folder: ${served.path}`);
    const part = requestedRange(range, 10);
    if (typeof part === 'object' && !(part.bytes > 0 && part.offset >= 0 && part.offset + part.bytes <= 10))
      throw new Error(`${range} is a part of ${part.bytes} bytes from ${part.offset}`);
  },
};
