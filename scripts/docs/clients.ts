import { edgesOf } from '../../src/bundle/profiles/onnx-profiles.ts';
import { type ClientName, clientNames, type Profile } from '../../src/bundle/profiles/profile.ts';
import { profiles } from '../../src/bundle/profiles/profiles.ts';
import type { Dims } from '../../src/formats/client-form.ts';
import { type DType, dtypeName } from '../../src/weights/dtype.ts';
import { code, list, table } from './markdown.ts';

/** `docs/clients.md`: what each client is written, from the table that writes and verifies it. */
export function clientsPage(): string {
  const of = (target: Profile['target']) =>
    clientNames.filter((client) => profiles[client].target === target);
  const [onnx, coreMl, coreAi] = [of('onnx'), of('coreml'), of('coreai')];
  return [
    '# Clients',
    '',
    'Written by `npm run docs` from the profiles in `src/bundle/profiles/`, by which `convert --for` and `bundle --for` write, and',
    '`verify --for` checks any folder. Weights are the same bytes for all clients of a target, and on the disk once (hard links;',
    'copies where the file system has none), except where a client loads one file for each model.',
    '',
    '    sdconvert MODEL --for optimum,openvino     writes onnx/ and onnx-openvino/',
    '    sdconvert bundle OUT --for ort-web         adds onnx-ort-web/ to a conversion, or to anybody’s ONNX folder',
    '    sdconvert verify OUT --for mochi           says what Mochi Diffusion would refuse, and the command that mends it',
    '',
    table([
      ['client', 'target', 'folder', 'UNet in chunks', 'who loads it'],
      ...clientNames.map((client) => {
        const { target, folder, takesChunks, title } = profiles[client];
        return [code([client]), target, code([`${folder}/`]), takesChunks ? 'yes' : 'no', title];
      }),
    ]),
    'Clients that load whole models only are refused together with `--chunk-unet`, and for an output whose UNet is in chunks.',
    '',
    '## ONNX: edges',
    '',
    'The first of several is written; a model that has another already is taken as it is. Everything else about the models is the',
    'same, and so are the numbers.',
    '',
    table([
      ['client', 'ids', 'timestep', 'other numbers', 'VAE encoder', 'weights', 'sizes'],
      ...onnx.map(edgesRow),
    ]),
    '## ONNX: files',
    '',
    table([['client', 'networks', 'scheduler', 'pipeline', 'files'], ...onnx.map(filesRow)]),
    'A scheduler that a client lacks is replaced by the first of its list with the same settings, as diffusers’ `from_config` does,',
    'and a note says so. The VAE encoder’s sample is the mean of its distribution: the most likely one, and the same on every run.',
    '',
    '## Core ML',
    '',
    table([
      ['client', 'needs', 'files', 'models'],
      ...coreMl.map((client) => {
        const { required, files, form, settingsInMetadata } = profiles[client];
        const models = form
          ? 'packages; `encoder_hidden_states` as (B, S, C)'
          : `compiled; ${settingsInMetadata ? 'settings in `userDefinedMetadata`' : 'as Apple’s tool'}`;
        return [code([client]), code(required), files.length > 0 ? code(files) : '–', models];
      }),
    ]),
    '## Core AI',
    '',
    table([['client', 'needs', 'files', 'schedulers'], ...coreAi.map(coreAiRow)]),
    '[core-ai.md](core-ai.md) has the inputs and outputs of every network, and what is proven of them.',
    '',
    '## Notes',
    '',
    list(clientNames.flatMap((client) => profiles[client].notes.map((note) => `${code([client])}: ${note}`))),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

function edgesRow(client: ClientName): string[] {
  const { ids, timestep, floats, vaeEncoder, data, dims } = edgesOf(profiles[client]);
  const { text_encoder: first, text_encoder_2: second } = ids;
  const hasSecond = profiles[client].networks.includes('text_encoder_2') && first.join() !== second.join();
  const sizes = Object.entries(dims).map(
    ([network, each]) =>
      `${network}: ${Object.entries(each)
        .map(([name, to]) => `${name} → ${to}`)
        .join(', ')}`,
  );
  return [
    code([client]),
    hasSecond ? `${dtypeList(first)}; second encoder ${dtypeList(second)}` : dtypeList(first),
    `${dtypeList(timestep.dtypes)} ${timestep.shapes.map(shape).join(' or ')}`,
    dtypeList(floats),
    profiles[client].networks.includes('vae_encoder')
      ? code([vaeEncoder === 'sample' ? 'latent_sample' : 'latent_parameters'])
      : '–',
    data === null ? 'in the model' : code([data]),
    sizes.join('; ') || 'free',
  ];
}

function coreAiRow(client: ClientName): string[] {
  const { required, files, schedulers = [] } = profiles[client];
  return [code([client]), code(required), code(files), code(schedulers)];
}

function filesRow(client: ClientName): string[] {
  const { networks, required, schedulers, pipelines, files, flatNames } = profiles[client];
  const optional = networks.filter((network) => !required.includes(network));
  return [
    code([client]),
    optional.length > 0 ? `${code(required)}; if there: ${code(optional)}` : code(required),
    schedulers ? code(schedulers) : 'any',
    pipelines ? code(pipelines) : 'any',
    [...files, ...Object.values(flatNames ?? {})].map((file) => code([file])).join(', ') || '–',
  ];
}

function dtypeList(dtypes: readonly DType[]): string {
  return dtypes.map(dtypeName).join(' or ');
}

function shape(dims: Dims): string {
  return dims.length === 0 ? 'scalar' : `[${dims.join(', ')}]`;
}
