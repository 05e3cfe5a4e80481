import { expect, test } from 'vitest';
import { FileFormatError } from '../../../src/errors.ts';
import type { IdentifiedItem } from '../../../src/fleet/item.ts';
import { connectTo, withoutPassword } from '../../../src/fleet/queue/connection.ts';
import { publishTarget } from '../../../src/fleet/queue/publish-target.ts';
import { jobTitle, readStepJob } from '../../../src/fleet/queue/read-step-job.ts';
import { flowOf, type StepNode, stepsOf } from '../../../src/fleet/queue/step-job.ts';
import { takeTurn } from '../../../src/fleet/queue/turns.ts';
import { rejectionOf, thrownBy } from '../../support/thrown-by.ts';

const item: IdentifiedItem = {
  name: 'a/b',
  id: 'f00d',
  models: { modelVersion: '/models/a' },
  options: {},
  output: '/out/a/b',
};

/** A flow from its first step on. */
function inOrder(node: StepNode): StepNode[] {
  return [...(node.children ?? []).flatMap(inOrder), node];
}

test('a flow is a chain of steps, each with one id for the same result', () => {
  const job = { version: '1', item, results: '/out', publish: { repo: 'org/name', path: 'a/b' } };
  const steps = inOrder(flowOf(job));
  expect(steps.map(({ name }) => name)).toEqual(['fetch', 'convert', 'check', 'publish']);
  expect(steps.map(({ opts }) => opts.jobId)).toEqual([
    'f00d-fetch',
    'f00d-convert',
    'f00d-check',
    'f00d-publish',
  ]);
  // Only the last one stays, to answer who submits the same again.
  expect(steps.map(({ opts }) => opts.removeOnComplete)).toEqual([true, true, true, false]);
  expect(stepsOf({ publish: undefined })).toEqual(['fetch', 'convert', 'check']);
});

test('items are folders of one repository, or repositories of their own', () => {
  expect(publishTarget('org/name', 'a/b')).toEqual({ repo: 'org/name', path: 'a/b' });
  expect(publishTarget('org/{item}-onnx', 'a/b')).toEqual({ repo: 'org/a-b-onnx', path: '' });
  for (const wrong of ['name', 'org/name/more', 'org/na me', '../name'])
    expect(thrownBy(() => publishTarget(wrong, 'a')).message).toMatch(
      /^--publish .* is not the name of a repository/,
    );
});

test('all workers together begin no more fetches in a minute than they may', async () => {
  const counts = new Map<string, number>();
  const redis = {
    incr: async (key: string) => {
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return counts.get(key) ?? 0;
    },
    pexpire: async () => 1,
  };
  const waits = [];
  for (let i = 0; i < 5; i++) waits.push(await takeTurn(redis, 3, 90_000));
  expect(waits).toEqual([0, 0, 0, 30_000, 30_000]);
  expect(await takeTurn(redis, 3, 120_000)).toBe(0);
});

test('a queue that is not there says what to start', async () => {
  const error = await rejectionOf(connectTo('redis://:secret@127.0.0.1:9', { lasting: true }));
  expect(error.name).toBe('NotFoundError');
  expect(error.message).toMatch(
    /^there is no queue at redis:\/\/:…@127\.0\.0\.1:9 \(connect ECONNREFUSED 127\.0\.0\.1:9\)\.\nStart one: redis-server --appendonly yes /,
  );
});

test('an address that is none is refused in a sentence, and no message shows a password', async () => {
  const error = await rejectionOf(connectTo('localhost:6379', { lasting: false }));
  expect(error.message).toBe(
    '--queue localhost:6379 is not the address of a queue.\nWrite redis://HOST:PORT, or rediss:// for a connection with TLS.',
  );
  expect(withoutPassword('redis://me:secret@host:1/2')).toBe('redis://me:…@host:1/2');
  expect(withoutPassword('redis://host:1')).toBe('redis://host:1');
});

const job = { version: '1', item, results: '/out' };

test('a job is read as it was submitted', () => {
  const data = JSON.parse(JSON.stringify({ ...job, publish: { repo: 'org/name', path: '' } }));
  expect(readStepJob({ name: 'convert', data })).toEqual({ step: 'convert', job: data });
});

test.each<[string, string, unknown]>([
  ['nothing', 'fetch', null],
  ['another program’s data', 'fetch', { url: 'x' }],
  ['a step that is none', 'constructor', job],
  ['an item whose name leads out of the store', 'check', { ...job, item: { ...item, name: '../../x' } }],
  ['an item whose id leads out of the worker’s folder', 'check', { ...job, item: { ...item, id: '../..' } }],
  ['a folder elsewhere on the Hub', 'publish', { ...job, publish: { repo: 'a/b', path: '../x' } }],
  ['models that are none', 'fetch', { ...job, item: { ...item, models: [] } }],
])('a job that is %s is refused', (_, name, data) => {
  const error = thrownBy(() => readStepJob({ name, data }));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toBe('the queue holds a job that sdconvert submit did not put there.');
});

test('a job of another program has a title, too', () => {
  expect(jobTitle({ name: 'fetch', data: job })).toBe('fetch a/b');
  expect(jobTitle({ name: 'mail', data: {} })).toBe('mail, a job of another program');
});
