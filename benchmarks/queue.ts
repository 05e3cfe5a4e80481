/**
 * Converts small checkpoints, made from seeds, through a queue: first undisturbed, then while workers are killed with SIGKILL at
 * random times and Redis, which writes every change to the disk before it answers, is killed and started again in the middle. Throws
 * unless every job is done, all results are byte for byte those of `sdconvert batch`, none that was there was replaced by another, and the
 * undisturbed run has 0.9 of the throughput of `batch --jobs` (reported, not demanded, with --check). Appends to
 * benchmarks/results/queue.csv, but for --check.
 *
 *     npm run build && npm run bench:queue [-- --jobs 200 --kills 10 --workers 2 --seed 1 --check]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { listJobs } from '../src/fleet/queue/list-jobs.ts';
import { QUEUE } from '../src/fleet/queue/step-job.ts';
import { Mt19937 } from '../src/random/mt19937.ts';
import { alignColumns } from '../src/text.ts';
import { RedisServer } from '../test/support/redis-server.ts';
import { makeSeededCheckpoint } from '../test/support/seeded-checkpoint.ts';
import { appendRows, circumstances, type Row } from './results-file.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const command = path('../bin/sdconvert.js');
if (!existsSync(path('../dist/js/main.js'))) throw new Error('not built: npm run build');

const { values: options } = parseArgs({
  options: {
    jobs: { type: 'string', default: '200' },
    kills: { type: 'string', default: '10' },
    workers: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    check: { type: 'boolean', default: false },
  },
});
const [jobs, kills, workers] = [options.jobs, options.kills, options.workers].map(Number) as [
  number,
  number,
  number,
];

/** The share of the batch's throughput that the queue must have. */
const LEAST_SHARE = 0.9;

/** Milliseconds between two looks at the queue. */
const LOOK = 250;

const variants = { float16: { floor: 30 }, palette: { bits: 6, floor: 5 } };
const sources = Array.from({ length: Math.ceil(jobs / 2) }, (_, seed) => `seed-${seed}`);
const folder = mkdtempSync(join(tmpdir(), 'sdconvert-queue-'));
const running = new Set<ChildProcess>();

interface Ran {
  readonly what: string;
  readonly kills: number;
  readonly redis_restarts: number;
  /** Memory that the submitted jobs take in Redis, each. */
  readonly redis_bytes_per_job: number;
  readonly seconds: number;
}

/** Submits the manifest, and has workers do it; some of them are killed. Throws unless the results are those of the batch. */
async function throughQueue(manifest: string, what: string, kills: number): Promise<Ran> {
  const place = join(folder, `redis-${what}`);
  mkdirSync(place);
  const server = await RedisServer.start(place);
  const results = join(folder, what);
  const redis = new Redis(server.address, { maxRetriesPerRequest: null }).on('error', () => {});
  const queue = new Queue(QUEUE, { connection: redis }).on('error', () => {});
  try {
    const empty = await usedBytes(redis);
    const start = performance.now();
    run('submit', manifest, '--queue', server.address, '--results', results, '--quiet');
    const bytes = (await usedBytes(redis)) - empty;
    const crew = Array.from({ length: workers }, () => startWorker(server.address));
    const watch = new ResultsWatch(results);
    const sabotage = new Sabotage(server, crew, kills);
    do {
      await setTimeout(LOOK);
      watch.look();
      await sabotage.act();
    } while (!(await isOver(queue)));
    const seconds = (performance.now() - start) / 1000;
    await Promise.all(crew.map(stopWorker));
    watch.look();
    await demandAllDone(server.address, results);
    demand(watch.replaced.length === 0, `no result is replaced: ${watch.replaced}`);
    demand(sabotage.killed === kills, `${sabotage.killed} of ${kills} kills before all was done`);
    const { killed, restarts: redis_restarts } = sabotage;
    return { what, kills: killed, redis_restarts, redis_bytes_per_job: Math.round(bytes / jobs), seconds };
  } finally {
    redis.disconnect();
    await server.kill();
  }
}

/** Kills workers at random times, each replaced at once, and in the middle Redis. */
class Sabotage {
  killed = 0;
  restarts = 0;
  readonly #server: RedisServer;
  readonly #crew: ChildProcess[];
  readonly #kills: number;
  readonly #random = new Mt19937(Number(options.seed));
  #next = performance.now() + this.#upTo(4000);

  constructor(server: RedisServer, crew: ChildProcess[], kills: number) {
    this.#server = server;
    this.#crew = crew;
    this.#kills = kills;
  }

  async act(): Promise<void> {
    if (this.killed === this.#kills || performance.now() < this.#next) return;
    const at = Math.floor(this.#upTo(this.#crew.length));
    this.#crew[at]?.kill('SIGKILL');
    this.#crew[at] = startWorker(this.#server.address);
    this.killed++;
    this.#next = performance.now() + 1000 + this.#upTo(5000);
    if (this.killed !== Math.ceil(this.#kills / 2)) return;
    await this.#server.kill();
    await this.#server.start();
    this.restarts++;
  }

  #upTo(most: number): number {
    return (most * this.#random.uint32()) / 2 ** 32;
  }
}

/** Whether all jobs are done, or failed for good; of those that are done, the last step stays in the queue. */
async function isOver(queue: Queue): Promise<boolean> {
  const { completed = 0, failed = 0 } = await queue.getJobCounts('completed', 'failed');
  return completed + failed >= jobs;
}

async function demandAllDone(address: string, results: string): Promise<void> {
  const items = await listJobs({ queue: address });
  const bad = items.filter(({ state, verdict }) => state !== 'done' || verdict !== 'pass');
  demand(items.length === jobs && bad.length === 0, `all ${jobs} jobs are done: ${JSON.stringify(bad)}`);
  const [plain, queued] = [filesBelow(join(folder, 'plain')), filesBelow(results)];
  demand(
    plain.join() === queued.join(),
    `the same files: ${plain.length} of the batch, ${queued.length} of the queue`,
  );
  for (const name of plain) {
    const same = readFileSync(join(folder, 'plain', name)).equals(readFileSync(join(results, name)));
    demand(same, `${name} is the same`);
  }
}

/** Tells results that were replaced after they had appeared: a record is another file then. */
class ResultsWatch {
  readonly replaced: string[] = [];
  readonly #folder: string;
  readonly #seen = new Map<string, string>();

  constructor(results: string) {
    this.#folder = results;
  }

  look(): void {
    for (const item of sources.flatMap((name) =>
      Object.keys(variants).map((variant) => `${name}/${variant}`),
    )) {
      const found = statSync(join(this.#folder, item, 'sdconvert.json'), { throwIfNoEntry: false });
      if (!found) continue;
      const identity = [found.ino, found.mtimeMs, found.size].join(' ');
      if ((this.#seen.get(item) ?? identity) !== identity) this.replaced.push(item);
      this.#seen.set(item, identity);
    }
  }
}

/** All files that are results; stages of dead workers and our memory of hashes are none. */
function filesBelow(place: string): string[] {
  const isOwn = (name: string): boolean => /(^|\/)\.(sdc-|sdconvert-hashes)/.test(name);
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(place.length + 1))
    .filter((name) => !isOwn(name))
    .sort();
}

function startWorker(address: string): ChildProcess {
  const scratch = join(folder, 'scratch');
  mkdirSync(scratch, { recursive: true });
  const args = ['worker', '--queue', address, '--tmp-dir', scratch, '--quiet'];
  const worker = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  running.add(worker);
  worker.once('exit', () => running.delete(worker));
  return worker;
}

async function stopWorker(worker: ChildProcess): Promise<void> {
  worker.kill('SIGTERM');
  if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
}

async function usedBytes(redis: Redis): Promise<number> {
  const [, used = '0'] = /^used_memory:(\d+)/m.exec(await redis.info('memory')) ?? [];
  return Number(used);
}

function run(...args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [command, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`sdconvert ${args.join(' ')}: exit code ${status}\n${stderr}`);
}

function demand(isMet: boolean, what: string): void {
  if (!isMet) throw new Error(`not so: ${what}`);
}

try {
  for (const [seed, name] of sources.entries()) await makeSeededCheckpoint(join(folder, name), seed);
  const manifest = join(folder, 'batch.json');
  // The smallest network: what is measured is the queue.
  writeFileSync(
    manifest,
    JSON.stringify({
      output: 'plain',
      options: { targets: ['onnx'], models: ['text_encoder'] },
      variants,
      sources,
    }),
  );

  const start = performance.now();
  run('batch', manifest, '--jobs', String(workers), '--quiet');
  const batchSeconds = (performance.now() - start) / 1000;

  const calm = await throughQueue(manifest, 'calm', 0);
  const disturbed = await throughQueue(manifest, 'disturbed', kills);
  const share = batchSeconds / calm.seconds;
  const rows: Row[] = [calm, disturbed].map(({ what, seconds, ...counts }) => ({
    ...circumstances(),
    what,
    jobs,
    workers,
    ...counts,
    wall_s: seconds.toFixed(1),
    batch_s: batchSeconds.toFixed(1),
    to_batch: (batchSeconds / seconds).toFixed(2),
  }));
  console.log(
    alignColumns([Object.keys(rows[0] ?? {}), ...rows.map((row) => Object.values(row).map(String))]),
  );
  if (!options.check) {
    appendRows(path('results/queue.csv'), rows);
    demand(share >= LEAST_SHARE, `${share.toFixed(2)} of the batch’s throughput are at least ${LEAST_SHARE}`);
  }
} finally {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
