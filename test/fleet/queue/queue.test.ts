import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { FlowProducer, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { batch } from '../../../src/fleet/batch.ts';
import { listJobs } from '../../../src/fleet/queue/list-jobs.ts';
import { QUEUE } from '../../../src/fleet/queue/step-job.ts';
import { submit } from '../../../src/fleet/queue/submit.ts';
import { type WorkOptions, work } from '../../../src/fleet/queue/work.ts';
import { version } from '../../../src/version.ts';
import { hubFixture } from '../../support/hub-fixture.ts';
import { RedisServer, redisProgram } from '../../support/redis-server.ts';
import { filesIn } from '../../support/sd-shapes.ts';
import { makeSeededCheckpoint } from '../../support/seeded-checkpoint.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const at = temporaryFolder();
const hub = hubFixture();

describe.skipIf(!redisProgram)('a queue', () => {
  let redis: RedisServer;
  let client: Redis;
  let runs = 0;
  let folder = '';

  beforeAll(async () => {
    mkdirSync(at('redis'));
    redis = await RedisServer.start(at('redis'));
    client = new Redis(redis.address, { maxRetriesPerRequest: null });
    await makeSeededCheckpoint(at('one'), 1);
    await makeSeededCheckpoint(at('two'), 2);
  });
  afterAll(async () => {
    client.disconnect();
    await redis.kill();
  });
  beforeEach(async () => {
    await client.flushall();
    folder = at(`run${runs++}`);
    mkdirSync(folder);
  });

  /** Writes a manifest with these keys of its options. */
  function manifest(options: object = {}, sources: readonly string[] = [at('one'), at('two')]): string {
    const path = join(folder, 'batch.json');
    const all = { targets: ['onnx'], models: ['text_encoder'], ...options };
    writeFileSync(path, JSON.stringify({ output: 'out', options: all, sources }));
    return path;
  }

  const give = (path: string, more: object = {}) =>
    submit({ manifest: path, queue: redis.address, hub: hub.options, ...more });
  const rows = () => listJobs({ queue: redis.address });

  /** Lets a worker run until no item waits or runs any more; gives what it noted. */
  async function workOff(options: Partial<WorkOptions> = {}): Promise<string[]> {
    const stop = new AbortController();
    const notes: string[] = [];
    const working = work(
      { queue: redis.address, hub: hub.options, ...options },
      { signal: stop.signal, onProgress: (event) => event.type === 'note' && notes.push(event.message) },
    );
    const isOver = async () => (await rows()).every(({ state }) => state === 'done' || state === 'failed');
    while (!(await isOver())) await Promise.race([setTimeout(100), working]);
    stop.abort();
    await working;
    return notes;
  }

  describe('jobs that anybody may have written into Redis are refused in a sentence', () => {
    const item = { name: 'a', id: 'f00d', models: { modelVersion: '/nowhere' }, options: {}, output: '/x/a' };
    const data = { version, item, results: '/x' };
    const write = async (state: 'wait' | 'completed', job: object) => {
      const fields = { name: 'check', opts: '{}', data: JSON.stringify(data), timestamp: 1, ...job };
      await client.hset(`bull:${QUEUE}:f00d-check`, fields);
      if (state === 'wait') await client.lpush(`bull:${QUEUE}:wait`, 'f00d-check');
      else await client.zadd(`bull:${QUEUE}:completed`, 1, 'f00d-check');
    };
    const problem = 'the queue holds a job that sdconvert submit did not put there.';

    test.each([
      { data: '{' },
      { data: 'null' },
      { opts: '{' },
      { opts: 'null' },
      { parent: '{' },
      { progress: '{' },
      { data: JSON.stringify({ ...data, results: undefined }) },
      { data: JSON.stringify({ ...data, item: { ...item, floor: 'x' } }) },
    ])('by whoever lists them: %j', async (job) => {
      await write('wait', job);
      expect((await rejectionOf(rows())).problem).toBe(problem);
    });

    test.each([{ data: '{' }, { opts: 'null' }])('by a worker, and by who submits: %j', async (job) => {
      await write('wait', job);
      expect((await rejectionOf(work({ queue: redis.address, hub: hub.options }))).problem).toBe(problem);
      expect((await rejectionOf(give(manifest()))).problem).toBe(problem);
    });

    test.each([
      '"text"',
      '{"psnr":{}}',
      '{"psnr":"x"}',
      '{"bytes":-1}',
      '{"verdict":"good"}',
      '{"published":{}}',
    ])('with a result that no step gives: %s', async (returnvalue) => {
      await write('completed', { returnvalue, finishedOn: 2 });
      expect((await rejectionOf(rows())).problem).toBe(problem);
    });

    test('by a worker that waits already, which goes on', async () => {
      const stop = new AbortController();
      const notes: string[] = [];
      const working = work(
        { queue: redis.address, hub: hub.options },
        { signal: stop.signal, onProgress: (event) => event.type === 'note' && notes.push(event.message) },
      );
      while (notes.length === 0) await setTimeout(50);
      await setTimeout(500);
      await write('wait', { data: '{' });
      await client.zadd(`bull:${QUEUE}:marker`, 0, '0');
      while (notes.length === 1) await Promise.race([setTimeout(50), working]);
      stop.abort();
      expect(await working).toEqual({ done: 0, failed: 0 });
      expect(notes[1]).toContain(`the queue: ${problem}`);
    });

    test('and nothing of a result takes the place of what the job is', async () => {
      const returnvalue = JSON.stringify({ psnr: 40, item: {}, state: 'x', place: 5 });
      await write('completed', { returnvalue, finishedOn: 2 });
      expect(await rows()).toMatchObject([{ item: 'a', state: 'done', place: '/x/a', psnr: 40 }]);
    });
  });

  test('makes the files that a batch makes, and says what came of them', async () => {
    const path = manifest({ floor: 20 });
    expect((await give(path)).map(({ state }) => state)).toEqual(['new', 'new']);
    expect((await give(path)).map(({ state }) => state)).toEqual(['waiting', 'waiting']);
    await workOff();
    expect(await rows()).toMatchObject([
      { item: 'one', state: 'done', verdict: 'pass', place: join(folder, 'out/one') },
      { item: 'two', state: 'done', verdict: 'pass' },
    ]);
    const made = filesIn(join(folder, 'out'));
    cpSync(path, join(folder, 'again/batch.json'));
    await batch({ manifest: join(folder, 'again/batch.json'), hub: hub.options });
    const plain = filesIn(join(folder, 'again/out'));
    const own = /\.sdconvert-hashes\.json$/; // a memory of paths and times
    expect(Object.keys(made).filter((name) => !own.test(name))).toEqual(
      Object.keys(plain).filter((name) => !own.test(name)),
    );
    for (const [name, bytes] of Object.entries(plain))
      if (!own.test(name)) expect(Buffer.compare(made[name] ?? Buffer.alloc(0), bytes), name).toBe(0);
  });

  test('answers who submits the same again with the finished result', async () => {
    await give(manifest({}, [at('one')]));
    await workOff();
    const [again] = await give(manifest({}, [at('one')]));
    expect(again).toMatchObject({ state: 'done', result: { verdict: 'not checked' } });
    expect(again?.result?.bytes).toBeGreaterThan(100_000);
  });

  test('makes again what is done where that is asked for, and replaces what is in its place', async () => {
    const one = [at('one')];
    const model = join(folder, 'out/one/onnx/text_encoder/model.onnx');
    await give(manifest({}, one));
    await workOff();
    rmSync(model);
    expect(await give(manifest({}, one), { force: true })).toMatchObject([{ state: 'new' }]);
    await workOff();
    expect(await rows()).toMatchObject([{ item: 'one', state: 'done' }]);
    expect(existsSync(model)).toBe(true);

    const other = manifest({ precision: 'float32' }, one);
    await give(other);
    await workOff();
    const failed = (await rows()).find(({ state }) => state === 'failed');
    expect(failed?.reason).toContain('already holds another result under one');
    const size = statSync(`${model}_data`).size;
    expect(await give(other, { force: true })).toMatchObject([{ state: 'again' }]);
    await workOff();
    expect(await rows()).toMatchObject([{ item: 'one', state: 'done' }]);
    expect(statSync(`${model}_data`).size).toBeGreaterThan(1.5 * size);
  });

  test('judges what is done by the floor and the reference of today, and refuses to take another result for it', async () => {
    const one = [at('one')];
    await give(manifest({ floor: 20, precision: 'float16' }, one));
    await workOff();
    expect(await rows()).toMatchObject([{ state: 'done', verdict: 'pass' }]);
    const strict = manifest({ floor: 300, precision: 'float16' }, one);
    expect(await give(strict)).toMatchObject([{ state: 'done', result: { verdict: 'below the floor' } }]);
    expect(await rows()).toMatchObject([{ state: 'done', verdict: 'below the floor' }]);

    const elsewhere = await rejectionOf(give(strict, { results: join(folder, 'other') }));
    expect(elsewhere.problem).toBe(
      `one is done already, and its result is not in ${join(folder, 'other/one')} but in ${join(folder, 'out/one')}.`,
    );
    const model = join(folder, 'out/one/onnx/text_encoder/model.onnx');
    const made = statSync(model).mtimeMs;
    const compared = manifest({ floor: 40, precision: 'float16', reference: at('two') }, one);
    expect(await give(compared)).toMatchObject([{ state: 'measure' }]);
    await workOff();
    const measured = { verdict: 'below the floor', reference: expect.stringMatching(/^[0-9a-f]{64}$/) };
    expect(await rows()).toMatchObject([{ state: 'done', ...measured }]); // other weights
    expect(await give(compared)).toMatchObject([{ state: 'done', result: measured }]);
    expect(statSync(model).mtimeMs).toBe(made);
    // As the advice says.
    await give(strict, { results: join(folder, 'other'), force: true });
    await workOff();
    expect(existsSync(join(folder, 'other/one/sdconvert.json'))).toBe(true);
  });

  test('refuses two items that would be one job, of which the second would have no result', async () => {
    const path = manifest({}, [at('one')]);
    const variants = { a: { floor: 20 }, b: { floor: 30 } };
    writeFileSync(path, JSON.stringify({ output: 'out', variants, sources: [at('one')] }));
    expect((await rejectionOf(give(path))).problem).toBe(
      'one/b is one/a again: of the same models and options, which a queue converts once.',
    );
    expect(await rows()).toEqual([]);
  });

  test('judges what waits by the floor and the reference that were submitted last, and says where its result will be', async () => {
    await give(manifest({ floor: 20, precision: 'float16' }, [at('one')]));
    const path = manifest({ floor: 40, precision: 'float16', reference: at('two') }, [at('one')]);
    await give(path);
    const elsewhere = await rejectionOf(give(path, { results: join(folder, 'other') }));
    expect(elsewhere.problem).toBe(
      `one is in the queue already, and its result will be not in ${join(folder, 'other/one')} but in ${join(folder, 'out/one')}.`,
    );
    await workOff();
    expect(await rows()).toMatchObject([{ item: 'one', state: 'done', verdict: 'below the floor' }]); // other weights
  });

  test('goes on without what fails for good, says why, and tries it again when it is submitted again', async () => {
    cpSync(at('two'), join(folder, 'broken'), { recursive: true });
    const unet = join(folder, 'broken/unet/diffusion_pytorch_model.safetensors');
    truncateSync(unet, 1000);
    const path = manifest({}, [at('one'), join(folder, 'broken')]);
    await give(path);
    const notes = await workOff();
    expect(notes.filter((note) => /^convert broken failed/.test(note))).toHaveLength(1);
    const [broken, one] = await rows();
    expect(broken).toMatchObject({ item: 'broken', state: 'failed', step: 'convert' });
    expect(broken?.reason).toContain(unet);
    expect(one).toMatchObject({ item: 'one', state: 'done' });
    expect((await give(path)).map(({ state }) => state)).toEqual(['done', 'again']);
  });

  test('fails an item whose checkpoint has changed since it was submitted', async () => {
    const source = join(folder, 'source');
    cpSync(at('one'), source, { recursive: true });
    await give(manifest({}, [source]));
    cpSync(join(at('two'), 'unet'), join(source, 'unet'), { recursive: true });
    await workOff();
    const [row] = await rows();
    expect(row).toMatchObject({ state: 'failed', step: 'convert', attempts: 1 });
    expect(row?.reason).toContain(
      `${source}, or a model that is converted with it, has changed since source was submitted.`,
    );
    expect(existsSync(join(folder, 'out'))).toBe(false);
    // The mended item takes its place.
    expect((await give(manifest({}, [source]))).map(({ state }) => state)).toEqual(['new']);
    await workOff();
    expect(await rows()).toMatchObject([{ item: 'source', state: 'done' }]);
  });

  test('refuses a worker and a submitter of another version by name', async () => {
    const queue = new Queue(QUEUE, { connection: client });
    await queue.add('fetch', { version: '9.8.7', item: { id: 'x', name: 'x' } });
    for (const refused of [() => work({ queue: redis.address }), () => give(manifest())])
      expect((await rejectionOf(refused())).problem).toBe(
        `the queue at ${redis.address} holds jobs of sdconvert 9.8.7, and this is sdconvert ${version}, which would write other files.`,
      );
  });

  test('is open to another version once all that is left has failed', async () => {
    const data = { version: '9.8.7', item: { id: 'x', name: 'x' } };
    const step = { queueName: QUEUE, data };
    const flows = new FlowProducer({ connection: client });
    await flows.add({ ...step, name: 'check', children: [{ ...step, name: 'fetch' }] });
    const failing = new Worker(QUEUE, () => Promise.reject(new Error('damaged')), {
      connection: client.duplicate(),
    });
    await once(failing, 'failed');
    await failing.close();
    expect((await give(manifest())).map(({ state }) => state)).toEqual(['new', 'new']);
  });

  test('has a job of another version given back by the worker that takes it', async () => {
    const queue = new Queue(QUEUE, { connection: client });
    const working = work({ queue: redis.address, hub: hub.options });
    await setTimeout(500);
    await queue.add('fetch', { version: '9.8.7', item: { id: 'x', name: 'x' } });
    expect((await rejectionOf(working)).problem).toContain('holds jobs of sdconvert 9.8.7');
    expect(await queue.getDelayedCount()).toBe(1);
  });

  test('lets a worker that is stopped finish its step, and nothing of it stays on its disk', async () => {
    await give(manifest());
    const scratch = join(folder, 'scratch');
    mkdirSync(scratch);
    const stop = new AbortController();
    const working = work(
      { queue: redis.address, hub: hub.options, tmpDir: scratch },
      { signal: stop.signal, onProgress: ({ type }) => type === 'progress' && stop.abort() },
    );
    const { done, failed } = await working;
    expect({ done, failed }).toEqual({ done: 1, failed: 0 });
    expect(readdirSync(scratch)).toEqual([]);
    expect((await rows()).some(({ state }) => state === 'running')).toBe(false);
    await workOff();
    expect((await rows()).every(({ state }) => state === 'done')).toBe(true);
  });

  test('publishes what reaches its floor, and nothing else', async () => {
    const options = { ...hub.options, token: 'hf_writer' };
    await give(manifest({ floor: 20 }, [at('one')]), { publish: 'org/{item}' });
    await workOff({ hub: options });
    expect(await rows()).toMatchObject([
      { item: 'one', state: 'done', verdict: 'pass', published: 'org/one' },
    ]);
    expect(Object.keys(hub.server.repositories.get('org/one')?.files ?? {})).toContain('sdconvert.json');

    await give(manifest({ floor: 200, precision: 'float16' }, [at('two')]), { publish: 'org/{item}' });
    await workOff({ hub: options });
    const two = (await rows()).find(({ item }) => item === 'two');
    expect(two).toMatchObject({ state: 'done', verdict: 'below the floor' });
    expect(two?.published).toBeUndefined();
    expect([...hub.server.repositories.keys()]).toEqual(['org/one']);
  });

  test('publishes nothing that was damaged in the store', async () => {
    await give(manifest({ floor: 20 }, [at('one')]));
    await workOff();
    const model = join(folder, 'out/one/onnx/text_encoder/model.onnx');
    writeFileSync(model, Buffer.alloc(statSync(model).size));
    await give(manifest({ floor: 20 }, [at('one')]), { publish: 'org/damaged' });
    await workOff({ hub: { ...hub.options, token: 'hf_writer' } });
    const [one] = await rows();
    expect(one).toMatchObject({ state: 'failed', step: 'publish', attempts: 1 });
    expect(one?.reason).toContain(`${model} is not the file that was put there.`);
    expect(hub.server.repositories.has('org/damaged')).toBe(false);
  });

  test('publishes nothing without rights, which is a sentence, nor without a floor', async () => {
    await give(manifest({ floor: 20 }, [at('one')]), { publish: 'org/name' });
    await workOff({ hub: { ...hub.options, token: 'hf_reader' } });
    const [one] = await rows();
    expect(one).toMatchObject({ state: 'failed', step: 'publish', attempts: 1 });
    expect(one?.reason).toContain('does not let this token write to org/name');
    const error = await rejectionOf(give(manifest(), { publish: 'org/name' }));
    expect(error.problem).toBe('one has no floor, and only what reaches its floor is published.');
  });

  test('downloads within the disk of a worker, and forgets what others no longer need', async () => {
    for (const name of ['one', 'two'])
      hub.server.repositories.set(`org/${name}`, {
        commit: name.padEnd(40, '0').replaceAll(/[^0-9a-f]/g, 'a'),
        refs: ['main'],
        files: filesIn(at(name)),
        isLfs: (file) => file.endsWith('.safetensors'),
      });
    await give(manifest({}, ['org/one', 'org/two']));
    const scratch = join(folder, 'scratch');
    mkdirSync(scratch);
    // Room for one of the two: 1.3 MB of source and as much of results.
    await workOff({ tmpDir: scratch, maxDiskBytes: 3.5e6 });
    expect((await rows()).map(({ item, state }) => [item, state])).toEqual([
      ['one', 'done'],
      ['two', 'done'],
    ]);
    expect(existsSync(hub.options.cacheDir) ? readdirSync(hub.options.cacheDir) : []).not.toContain(
      'models--org--one',
    );
  });

  test('begins no more fetches from the Hub in a minute than all workers together may', async () => {
    for (const name of ['one', 'two'])
      hub.server.repositories.set(`org/${name}`, {
        commit: name === 'one' ? '1'.repeat(40) : '2'.repeat(40),
        refs: ['main'],
        files: filesIn(at(name)),
        isLfs: (file) => file.endsWith('.safetensors'),
      });
    await give(manifest({}, ['org/one', 'org/two']));
    // The turns of this minute are taken, and those of the next, which may begin meanwhile.
    const minute = Math.floor(Date.now() / 60_000);
    for (const each of [minute, minute + 1]) await client.set(`sdconvert:fetches:${each}`, 5);
    const stop = new AbortController();
    const working = work({ queue: redis.address, hub: hub.options, hubRate: 5 }, { signal: stop.signal });
    while ((await rows()).some(({ state }) => state !== 'delayed'))
      await Promise.race([setTimeout(100), working]);
    stop.abort();
    expect(await working).toEqual({ done: 0, failed: 0 });
    expect(await rows()).toMatchObject([
      { state: 'delayed', step: 'fetch', attempts: 0 },
      { state: 'delayed', step: 'fetch', attempts: 0 },
    ]);
    expect(hub.fileRequests()).toEqual([]);
  });

  test('names the disk that is too small for a step', async () => {
    await give(manifest({}, [at('one')]));
    const stop = new AbortController();
    const notes: string[] = [];
    const working = work(
      { queue: redis.address, hub: hub.options, maxDiskBytes: 1000 },
      {
        signal: stop.signal,
        onProgress: (event) => {
          if (event.type === 'note' && notes.push(event.message) > 2) stop.abort();
        },
      },
    );
    await working;
    expect(notes[2]).toMatch(
      /^convert one failed: one needs .* on the disk of a worker that may use 1\.0 kB\./,
    );
    expect(await rows()).toMatchObject([{ state: 'delayed', step: 'convert', attempts: 1 }]);
  });
});
