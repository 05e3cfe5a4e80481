import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { CreateBucketCommand, DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  DiskSpaceError,
  FileFormatError,
  NotFoundError,
  OutputExistsError,
  RequestError,
  UploadError,
} from '../../../src/errors.ts';
import { openStore } from '../../../src/fleet/store/open-store.ts';
import type { Store } from '../../../src/fleet/store/store.ts';
import { scrambled } from '../../support/hub-checkpoint.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

// The client takes them from here, as from anybody's environment.
process.env.AWS_ACCESS_KEY_ID = 'test';
process.env.AWS_SECRET_ACCESS_KEY = 'test';

const at = temporaryFolder();
let made = 0;

/** More than one part of an upload. */
const large = scrambled(2 ** 20, 3);
const LARGE_COPIES = 20;

function resultOf(record: string, model = 'model'): string {
  const folder = at(`result${made++}`);
  mkdirSync(join(folder, 'onnx/unet'), { recursive: true });
  writeFileSync(join(folder, 'onnx/unet/model.onnx'), model);
  writeFileSync(join(folder, 'onnx/unet/model.onnx_data'), Buffer.concat(Array(LARGE_COPIES).fill(large)));
  writeFileSync(join(folder, 'sdconvert.json'), record);
  return folder;
}

const sha256 = createHash('sha256').update('model').digest('hex');

/** The least that a record has, with a file on it. */
const record = (note = 'a'): string =>
  JSON.stringify({
    sdconvert: note,
    artifacts: {
      'onnx/unet': { source: {}, options: {}, files: [{ name: 'model.onnx', byteLength: 5, sha256 }] },
    },
  });

/** A service with S3's API, such as moto's server, which .ci/run starts. */
const s3Endpoint = process.env.SDCONVERT_TEST_S3;

describe.skipIf(!s3Endpoint)('a bucket', () => {
  const openBucket = (prefix = `run${made++}`): Promise<Store> =>
    openStore(`s3://results/${prefix}`, { s3Endpoint });
  const client = new S3Client({
    forcePathStyle: true,
    region: 'us-east-1',
    ...(s3Endpoint !== undefined && { endpoint: s3Endpoint }),
  });
  /** As if the worker had been killed before it put the last file. */
  const removeRecord = ({ address }: Store) =>
    client.send(
      new DeleteObjectCommand({ Bucket: 'results', Key: `${address.split('/').at(-1)}/a/b/sdconvert.json` }),
    );
  beforeAll(async () => {
    await client.send(new CreateBucketCommand({ Bucket: 'results' }));
  });
  afterAll(() => client.destroy());

  test('takes a result, in parts where it is large, and gives the same bytes', async () => {
    const store = await openBucket();
    const result = resultOf(record());
    expect(await store.recordOf('a/b')).toBeUndefined();
    expect(await store.put('a/b', result, {})).toBe('put');
    expect(await store.recordOf('a/b')).toBe(record());
    const copy = await store.get('a/b', at('copy'), {});
    for (const name of ['onnx/unet/model.onnx', 'onnx/unet/model.onnx_data', 'sdconvert.json'])
      expect(readFileSync(join(copy, name)).equals(readFileSync(join(result, name)))).toBe(true);
  });

  test('holds one of several that are put at once, and the others find it there', async () => {
    const store = await openBucket();
    const outcomes = await Promise.all(
      Array.from({ length: 3 }, () => store.put('a/b', resultOf(record()), {})),
    );
    expect(outcomes.sort()).toEqual(['put', 'there', 'there']);
    expect(await store.put('a/b', resultOf(record()), {})).toBe('there');
  });

  test('goes on from where a killed worker stopped', async () => {
    const store = await openBucket();
    const whole = resultOf(record());
    await store.put('a/b', whole, {});
    await removeRecord(store);
    expect(await store.recordOf('a/b')).toBeUndefined();
    expect(await store.put('a/b', whole, {})).toBe('put');
  });

  test('never has a file overwritten by other bytes', async () => {
    const store = await openBucket();
    await store.put('a/b', resultOf(record()), {});
    const other = await rejectionOf(store.put('a/b', resultOf(record('other')), {}));
    expect(other).toBeInstanceOf(OutputExistsError);
    await removeRecord(store);
    const strange = await rejectionOf(store.put('a/b', resultOf(record('other'), 'other'), {}));
    expect(strange.problem).toBe(
      `${store.address} already holds another result under a/b: its onnx/unet/model.onnx differs.`,
    );
  });

  test('has a record replaced by one that tells of a new measurement alone, and a result removed whole', async () => {
    const store = await openBucket();
    const measured = (quality?: object) =>
      JSON.stringify({ ...JSON.parse(record()), item: { id: 'a', quality } });
    await store.put('a', resultOf(measured()), {});
    expect(await store.put('a', resultOf(measured({ reference: 'float32' })), {})).toBe('put');
    expect(await store.recordOf('a')).toBe(measured({ reference: 'float32' }));
    await store.put('a/b', resultOf(record()), {});
    expect(await rejectionOf(store.remove('a'))).toBeInstanceOf(OutputExistsError);
    await store.remove('a/b');
    await store.remove('a');
    expect(await store.recordOf('a')).toBeUndefined();
    expect(await store.put('a', resultOf(record(), 'other'), {})).toBe('put');
  });

  test('that is not there is a sentence', async () => {
    const store = await openStore('s3://no-such-bucket-here/x', { s3Endpoint });
    const error = await rejectionOf(store.put('a', resultOf(record()), {}));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.problem).toBe('there is no bucket for s3://no-such-bucket-here/x.');
  });
});

describe('a service that refuses', () => {
  let server: Server;
  let answer = { status: 200, code: '' };
  beforeAll(async () => {
    server = createServer((request, response) => {
      request.resume();
      const isThere = request.method !== 'PUT' && request.method !== 'POST';
      const { status, code } = isThere ? { status: 404, code: 'NoSuchKey' } : answer;
      request.on('end', () =>
        response.writeHead(status).end(`<Error><Code>${code}</Code><Message>no</Message></Error>`),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => server.close());

  const put = async (status: number, code: string) => {
    answer = { status, code };
    const { port } = server.address() as AddressInfo;
    const store = await openStore('s3://models/x', { s3Endpoint: `http://127.0.0.1:${port}` });
    return rejectionOf(store.put('a', resultOf(record()), {}));
  };

  test.for([
    [507, 'XMinioStorageFull'],
    [403, 'QuotaExceeded'],
  ] as const)('for want of room (%s %s) is named so', async ([status, code]) => {
    const error = await put(status, code);
    expect(error).toBeInstanceOf(DiskSpaceError);
    expect(error.problem).toBe('s3://models/x has no room.');
  });

  test('for want of rights is named so', async () => {
    const error = await put(403, 'AccessDenied');
    expect(error).toBeInstanceOf(RequestError);
    expect(error.problem).toBe('s3://models/x does not let these credentials in (AccessDenied).');
  });

  test('nothing that answers is an error that may pass', async () => {
    const store = await openStore('s3://models/x', { s3Endpoint: 'http://127.0.0.1:9' });
    expect(await rejectionOf(store.recordOf('a'))).toBeInstanceOf(UploadError);
  });
});

describe('a service that answers with anything', () => {
  let answer: (url: URL) => string = () => '';
  let server: Server;
  beforeAll(async () => {
    server = createServer((request, response) => {
      request.resume();
      response.end(answer(new URL(request.url ?? '', 'http://localhost')));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => server.close());

  const open = () => {
    const { port } = server.address() as AddressInfo;
    return openStore('s3://models/x', { s3Endpoint: `http://127.0.0.1:${port}` });
  };

  test('with an endless record is refused', async () => {
    answer = () => 'x'.repeat(5 << 20);
    const error = await rejectionOf((await open()).recordOf('a'));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toBe(
      's3://models/x/a/sdconvert.json is not as sdconvert writes it: it is too large.',
    );
  });

  test('with a list whose next page is itself is refused', async () => {
    const keys = Array.from({ length: 1000 }, (_, at) => `<Contents><Key>x/a/${at}</Key></Contents>`).join(
      '',
    );
    const page = `<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>${keys}`;
    answer = ({ searchParams }) =>
      searchParams.has('list-type') ? `<ListBucketResult>${page}</ListBucketResult>` : record();
    const error = await rejectionOf((await open()).get('a', at('endless'), {}));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toBe('s3://models/x/a/ has more than 10,000 objects, which no result has.');
    expect(existsSync(at('endless'))).toBe(false);
  });

  test('with other bytes than those on record is refused, and no copy of them appears', async () => {
    const list = '<ListBucketResult><Contents><Key>x/a/onnx/unet/model.onnx</Key></Contents>';
    const end = '<Contents><Key>x/a/sdconvert.json</Key></Contents></ListBucketResult>';
    answer = ({ searchParams, pathname }) => {
      if (searchParams.has('list-type')) return `${list}${end}`;
      return pathname.endsWith('.json') ? record() : 'modem';
    };
    const error = await rejectionOf((await open()).get('a', at('damaged'), {}));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toBe('s3://models/x/a/onnx/unet/model.onnx is not the file that was put there.');
    expect(existsSync(at('damaged'))).toBe(false);
  });
});
