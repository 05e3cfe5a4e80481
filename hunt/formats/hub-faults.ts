import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { download } from '../../src/commands/download.ts';
import type { Format, Mutator } from '../format.ts';
import { bytesOf } from './seeds.ts';

/** How the Hub answers the next request: in order, or with something wrong. */
const faults = [
  ...[
    'none',
    'cut',
    'short',
    'longer',
    'other bytes',
    'whole for a part',
    'wrong part',
    'page',
    'silent',
    'slow',
  ],
  ...['status 401', 'status 404', 'status 416', 'status 429', 'status 500', 'no connection', 'empty'],
] as const;

type Fault = (typeof faults)[number];

const commit = 'c0ffee'.padEnd(40, '0');
const name = 'original/packages/weight.bin';
const content = Uint8Array.from({ length: 3000 }, (_, index) => (index * 7) % 251);
const oid = createHash('sha256').update(content).digest('hex');

/** Another sequence of faults. */
const otherFaults: Mutator = (_, random) =>
  bytesOf(JSON.stringify(Array.from({ length: random.length(20) }, () => random.pick(faults))));

/** A Hub whose answers fail one after another; waits take no time, and silence a hundredth of a second. */
export const hubFaults: Format = {
  name: 'Hub faults',
  seeds: async () => [new Map([['faults.json', bytesOf('["none", "none", "none"]')]])],
  parts: [{ files: /./, mutators: [otherFaults] }],
  async read(folder) {
    const sequence: Fault[] = JSON.parse(readFileSync(join(folder, 'faults.json'), 'utf8'));
    const [cacheDir, output] = [join(folder, 'cache'), join(folder, 'output')];
    mkdirSync(cacheDir);
    const run = (fetch: typeof globalThis.fetch) =>
      download({
        ...{
          repo: 'org/name',
          variant: 'original/packages',
          endpoint: 'https://hub.invalid',
          cacheDir,
          output,
        },
        ...{ fetch, wait: async () => {}, patience: 10 },
      });
    const refused = await run(async (input, init) => answer(input, init, sequence.shift() ?? 'none')).then(
      () => undefined,
      (error: unknown) => error,
    );
    checkFile(join(output, name), refused === undefined);
    // Whatever went wrong, a Hub that works completes it.
    await run(async (input, init) => answer(input, init, 'none'));
    checkFile(join(output, name), true);
    if (refused !== undefined) throw refused;
  },
};

/** What is there must be right, whatever the Hub did. */
function checkFile(path: string, mustBeThere: boolean): void {
  if (!mustBeThere && !existsSync(path)) return;
  if (!readFileSync(path).equals(content)) throw new Error(`${path} has other bytes than the Hub`);
}

async function answer(
  input: string | URL | Request,
  init: RequestInit | undefined,
  fault: Fault,
): Promise<Response> {
  if (fault === 'silent') return new Promise(() => {});
  if (fault === 'no connection') throw new TypeError('fetch failed');
  if (fault === 'page') return new Response('<html>', { headers: { 'content-type': 'text/html' } });
  if (fault === 'empty') return new Response('');
  if (fault.startsWith('status')) return new Response('', { status: Number(fault.slice(7)) });
  const { pathname } = new URL(input instanceof Request ? input.url : input);
  if (pathname.includes('/revision/')) return json({ id: 'org/name', sha: commit, siblings: [] });
  if (pathname.includes('/tree/'))
    return json([
      { type: 'file', path: name, size: content.length, oid, lfs: { oid, size: content.length } },
    ]);
  return file(new Headers(init?.headers).get('range'), fault);
}

function json(value: unknown): Response {
  return new Response(JSON.stringify(value));
}

function file(range: string | null, fault: Fault): Response {
  const [, start] = /^bytes=(\d+)-/.exec(range ?? '') ?? [];
  const isPart = start !== undefined && fault !== 'whole for a part';
  const from = isPart ? Number(start) : 0;
  const body = content.slice(from);
  const place = fault === 'wrong part' ? from + 1 : from;
  return new Response(streamOf(body, fault), {
    status: isPart ? 206 : 200,
    headers: isPart ? { 'content-range': `bytes ${place}-${content.length - 1}/${content.length}` } : {},
  });
}

function streamOf(body: Uint8Array, fault: Fault): ReadableStream<Uint8Array> {
  const half = Math.floor(body.length / 2);
  return new ReadableStream({
    async start(controller) {
      if (fault === 'other bytes') controller.enqueue(body.map((byte) => byte ^ 1));
      else controller.enqueue(body.slice(0, half));
      if (fault === 'cut') return controller.error(new TypeError('terminated'));
      if (fault === 'slow') await new Promise((done) => setTimeout(done, 2));
      if (fault !== 'other bytes' && fault !== 'short') controller.enqueue(body.slice(half));
      if (fault === 'longer') controller.enqueue(body);
      controller.close();
    },
  });
}
