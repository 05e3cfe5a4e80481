import { beforeEach, describe, expect, test } from 'vitest';
import { resolveModel } from '../../src/checkpoint/from-hub/resolve-model.ts';
import {
  DiskSpaceError,
  DownloadError,
  FileFormatError,
  NotFoundError,
  RepositoryNotFoundError,
  RequestError,
  UnsupportedModelError,
} from '../../src/errors.ts';
import { hubRequest } from '../../src/hub/hub-request.ts';
import { checkpointFiles, commit, repository } from '../support/hub-checkpoint.ts';
import { hubFixture } from '../support/hub-fixture.ts';
import { sha256 } from '../support/hub-server.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const hub = hubFixture();
const unet = 'unet/diffusion_pytorch_model.safetensors';
const unetBytes = checkpointFiles[unet] ?? new Uint8Array();

beforeEach(() => void hub.server.repositories.set('org/model', repository(checkpointFiles)));

describe('a refusal is explained', () => {
  test('a repository that does not exist, or is private', async () => {
    const error = await rejectionOf(resolveModel('org/nothing', hub.options));
    expect(error).toBeInstanceOf(RepositoryNotFoundError);
    expect(error.message).toContain(`nor a repository on ${hub.server.url}, or it is private`);
    expect(error.advice).toContain('give a token');
    expect(hub.waits).toEqual([]);
  });

  test('a private repository, and the token that cannot be read', async () => {
    hub.server.repositories.set('org/secret', repository(checkpointFiles, { privateTo: 'hf_me' }));
    const unreadableToken = '/home/you/token cannot be read';
    const error = await rejectionOf(resolveModel('org/secret', { ...hub.options, unreadableToken }));
    expect(error.message).toContain(unreadableToken);
  });

  test('a token that can be in no header', async () => {
    for (const token of ['hf\n_x', 'hf 🙂']) {
      const error = await rejectionOf(resolveModel('org/model', { ...hub.options, token }));
      expect(error).toBeInstanceOf(RequestError);
      expect(error.problem).toContain('token');
    }
  });

  test('a certificate that is not trusted here, as of a proxy that reads along, at once and with what helps', async () => {
    const cause = Object.assign(new Error('self-signed certificate in certificate chain'), {
      code: 'SELF_SIGNED_CERT_IN_CHAIN',
    });
    const refusing = async () => Promise.reject(new TypeError('fetch failed', { cause }));
    const error = await rejectionOf(resolveModel('org/model', { ...hub.options, fetch: refusing }));
    expect(error).toBeInstanceOf(DownloadError);
    expect(error.problem).toBe(
      `${new URL(hub.server.url).host} shows a certificate that is not trusted here.`,
    );
    expect(error.message).toContain('self-signed certificate in certificate chain');
    expect(error.advice).toContain('NODE_EXTRA_CA_CERTS');
    expect(hub.waits).toEqual([]);
  });

  test('a private repository, which a token opens', async () => {
    hub.server.repositories.set('org/secret', repository(checkpointFiles, { privateTo: 'hf_me' }));
    const error = await rejectionOf(resolveModel('org/secret', { ...hub.options, token: 'hf_other' }));
    expect(error.advice).toContain('check that your token may read it');
    await resolveModel('org/secret', { ...hub.options, token: 'hf_me' });
  });

  test('a gated repository, with the page where its terms are accepted', async () => {
    hub.server.repositories.set('org/gated', repository(checkpointFiles, { isGated: true }));
    const error = await rejectionOf(resolveModel('org/gated', hub.options));
    expect(error).toBeInstanceOf(RequestError);
    expect(error.problem).toContain('org/gated is gated');
    expect(error.advice).toContain(`accept them on ${hub.server.url}/org/gated`);
    expect(error.advice).toContain('--token or HF_TOKEN');
    const withToken = await rejectionOf(resolveModel('org/gated', { ...hub.options, token: 'hf_me' }));
    expect(withToken.advice).toContain('With the account of your token');
  });

  test('a token that is not accepted', async () => {
    const error = await rejectionOf(resolveModel('org/model', { ...hub.options, token: 'hf_bad' }));
    expect(error.problem).toBe(`${hub.server.url} does not accept the token.`);
    expect(error.message).not.toContain('hf_bad');
  });

  test('a revision that does not exist', async () => {
    const error = await rejectionOf(resolveModel('org/model', { ...hub.options, revision: 'v9' }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.problem).toBe('org/model has no revision called v9.');
  });

  test('a file that the revision does not have', async () => {
    const error = await rejectionOf(resolveModel('org/model/other.safetensors', hub.options));
    expect(error.problem).toBe('org/model has no other.safetensors.');
    expect(error.details['it has']).toContain('model.ckpt');
  });

  test('a file that is gone although it is listed', async () => {
    const name = 'vae/diffusion_pytorch_model.bin';
    hub.server.fault = (file) =>
      file === name
        ? { kind: 'status', status: 404, headers: { 'x-error-code': 'EntryNotFound' } }
        : undefined;
    const error = await rejectionOf(resolveModel('org/model', hub.options));
    expect(error.problem).toBe(`org/model has no ${name} in revision ${commit}.`);
  });

  test('a variant that there is not', async () => {
    hub.server.repositories.set(
      'org/plain',
      repository({ 'config.json': Buffer.from('{}'), 'model.safetensors': unetBytes }),
    );
    const error = await rejectionOf(resolveModel('org/plain', { ...hub.options, variant: 'fp16' }));
    expect(error.problem).toBe('org/plain has no fp16 weights.');
  });

  test('a web page in the place of a file, or of the Hub', async () => {
    hub.faultOf(unet, { kind: 'page' });
    const file = await rejectionOf(resolveModel('org/model', hub.options));
    expect(file).toBeInstanceOf(DownloadError);
    expect(file.problem).toContain('answered with a web page where a file was asked for');
    expect(JSON.stringify(file.details)).not.toContain('signature');
    hub.server.api = () => ({ kind: 'page' });
    const api = await rejectionOf(resolveModel('org/model', { ...hub.options, revision: 'v1.0' }));
    expect(api.problem).toContain('answered with a web page');
  });

  test('an answer that is not the Hub’s', async () => {
    hub.server.api = () => ({ kind: 'bytes', bytes: Buffer.from('<oops>') });
    const error = await rejectionOf(resolveModel('org/model', hub.options));
    expect(error.problem).toBe(`${hub.server.url} does not answer as the Hub does.`);
  });

  test.each([
    'mirror.example',
    'ftp://mirror.example',
    '',
    'https://mirror.example/?q=1',
    'https://me:secret@mirror.example',
    'https://me:se@cret@mirror.example/#x',
  ])('an address that is none, and of which no password is told: %j', async (endpoint) => {
    const error = await rejectionOf(resolveModel('org/model', { ...hub.options, endpoint }));
    expect(error).toBeInstanceOf(RequestError);
    expect(error.advice).toContain('HF_ENDPOINT');
    expect(error.message).not.toContain('cret');
  });

  test('a kind of model that is not converted, before its weights are downloaded', async () => {
    const files = {
      ...checkpointFiles,
      'model_index.json': Buffer.from('{"_class_name": "FluxPipeline"}'),
    };
    hub.server.repositories.set('org/flux', repository(files));
    expect(await rejectionOf(resolveModel('org/flux', hub.options))).toBeInstanceOf(UnsupportedModelError);
    expect(hub.rangesOf(unet)).toEqual([]);
  });

  test('a disk that is too small, before anything is downloaded', async () => {
    hub.server.changeList = (entries) =>
      entries.map((entry) =>
        entry.path === unet ? { ...entry, lfs: { oid: sha256(unetBytes), size: 2 ** 52 } } : entry,
      );
    const error = await rejectionOf(resolveModel('org/model', hub.options));
    expect(error).toBeInstanceOf(DiskSpaceError);
    expect(error.problem).toMatch(/needs 4503599\.\d+ GB, but the disk has only .* free/);
    expect(hub.rangesOf(unet)).toEqual([]);
  });
});

describe('a list of files that lies', () => {
  test.each(['../../../evil', '/etc/evil', 'unet\\evil', 'unet/../../evil', 'evil\0', 'C:evil'])(
    'about the name %j is refused',
    async (path) => {
      hub.server.changeList = (entries) => [...entries, { type: 'file', path, oid: '0'.repeat(40), size: 1 }];
      const error = await rejectionOf(resolveModel('org/model', hub.options));
      expect(error).toBeInstanceOf(FileFormatError);
      expect(error.problem).toContain('leads out of its folder');
    },
  );

  test.each([
    { oid: '../../../evil', size: 1 },
    { oid: undefined, size: 1 },
    { oid: '0'.repeat(40), size: -1 },
    { oid: '0'.repeat(40), size: 1.5 },
    { oid: '0'.repeat(40), size: '1' },
    { oid: '0'.repeat(40), size: 1, lfs: { oid: '0'.repeat(40), size: 1 } },
  ])('about hash or size is refused: %j', async (entry) => {
    hub.server.changeList = (entries) => [...entries, { type: 'file', path: 'x.bin', ...entry }];
    expect(await rejectionOf(resolveModel('org/model', hub.options))).toBeInstanceOf(FileFormatError);
  });

  test.each(['../../evil', '/etc/evil', 'a\\b'])('a revision called %j is refused', async (revision) => {
    expect(await rejectionOf(resolveModel('org/model', { ...hub.options, revision }))).toBeInstanceOf(
      RequestError,
    );
    expect(hub.server.seen).toEqual([]);
  });
});

describe('a token', () => {
  test('goes to the Hub and not to the storage that it redirects to', async () => {
    await resolveModel('org/model', { ...hub.options, token: 'any token' });
    const [toHub, elsewhere] = [true, false].map((isHub) =>
      hub.server.seen.filter(({ path }) => path.includes('signature') !== isHub),
    );
    expect(new Set(toHub?.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer any token']));
    expect(new Set(elsewhere?.map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
  });

  test('goes to no other address, whatever the Hub names one for', async () => {
    const sent: Headers[] = [];
    const request: typeof fetch = async (_, init) => {
      sent.push(new Headers(init?.headers));
      return new Response('[]');
    };
    const options = { endpoint: 'https://hub.example', cacheDir: '', token: 'hf_me', fetch: request };
    const how = { subject: { repo: 'org/model', revision: 'main' }, options, signal: undefined };
    for (const address of ['https://hub.example/a', 'http://hub.example/a', 'https://hub.example.evil/a'])
      await hubRequest(new URL(address), {}, how);
    expect(sent.map((headers) => headers.get('authorization'))).toEqual(['Bearer hf_me', null, null]);
    // Ranges of a compressed answer would not be the file's.
    expect(sent.every((headers) => headers.get('accept-encoding') === 'identity')).toBe(true);
  });
});
