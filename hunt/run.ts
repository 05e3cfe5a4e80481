/**
 * `npm run hunt`: looks for inputs that sdconvert cannot bear, in every format that it reads, and for moments at which it
 * must not be killed. `npm run hunt -- --help` says how.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { unpack } from './corpus.ts';
import type { Format } from './format.ts';
import { formats } from './formats/formats.ts';
import { judge } from './judge.ts';
import { scenarios } from './kills/scenarios/scenarios.ts';
import { limitsOf, readRows, record } from './rows.ts';
import type { Keep, Tally } from './tally.ts';
import { trials } from './trials.ts';
import { watched } from './watch.ts';

const help = `npm run hunt -- [options]

  --format A,B     only these formats: ${formats.map(({ name }) => name).join(', ')};
                   and only these trials of whole commands:
${trials.map(({ name, summary }) => `                     ${name.padEnd(12)} ${summary}`).join('\n')}
  --seconds N      time for all formats together [default: 90; --long: 4 hours]
  --inputs N       so many inputs of each format, whatever time they take
  --seed TEXT      decides the inputs [default: the commit]
  --jobs N         processes at once [default: one for each core]
  --long           for hours, with all trials; inputs that did something new have descendants
  --corpus FOLDER  where those are kept between long hunts [default: in the temporary folder]
  --findings FOLDER  where inputs that went wrong are kept [default: hunt-findings]
  --record         appends rows to benchmarks/results/hunt.csv
  --kills N        so many kills of each writing command, spread over its calls, and half as many pairs of processes
                   into one output [default: 3; --long: 100]; all: at every call
  --command A,B    only kills, and of these commands: ${scenarios.map(({ name }) => name).join(', ')}
  --again FILE     reads one input of a findings folder again
`;

const { values: given } = parseArgs({
  options: {
    format: { type: 'string' },
    seconds: { type: 'string' },
    inputs: { type: 'string' },
    seed: { type: 'string' },
    jobs: { type: 'string' },
    long: { type: 'boolean', default: false },
    corpus: { type: 'string', default: join(tmpdir(), 'sdconvert-corpus') },
    findings: { type: 'string', default: 'hunt-findings' },
    record: { type: 'boolean', default: false },
    kills: { type: 'string' },
    command: { type: 'string' },
    again: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (given.help) process.stdout.write(help);
else if (given.again !== undefined) await again(given.again);
else await hunt();
// Runs that were stopped in this process still wait for what never comes.
process.exit();

/** Reads one input that went wrong, for a debugger to follow. */
async function again(file: string): Promise<void> {
  const format = formats.find(({ name }) => basename(file).startsWith(`${name}-`));
  if (!format) throw new Error(`${file} does not begin with the name of a format`);
  const folder = mkdtempSync(join(tmpdir(), 'sdconvert-hunt-'));
  const files = unpack(readFileSync(file, 'utf8'));
  const limits = limitsOf(format.name, readRows());
  await judge(format, files, folder, limits); // compiles and loads what the second time only uses
  const judged = await judge(format, files, folder, limits);
  rmSync(folder, { recursive: true, force: true });
  process.stdout.write(`${judged.finding ?? judged.refusal ?? 'accepted'}\n`);
  process.stdout.write(`${judged.milliseconds.toFixed(0)} ms, ${judged.megabytes.toFixed(1)} MB\n`);
  if (judged.finding !== undefined) process.exitCode = 1;
}

async function hunt(): Promise<void> {
  const seed = given.seed ?? commit();
  const only = given.command === undefined ? undefined : namesIn(given.command);
  const names = given.format === undefined ? only && ['kills'] : namesIn(given.format);
  for (const name of only ?? []) checkCommand(name);
  const isTrial = (name: string): boolean => trials.some((trial) => trial.name === name);
  process.stdout.write(`seed ${seed}\n`);
  const tallies = new Map<string, Tally>();
  const keep: Keep = (name, tally) => {
    tallies.set(name, tally);
    if (given.record) record(seed, new Map([[name, tally]]));
    process.stdout.write(lineOf(name, tally));
  };
  const chosen = names?.filter((name) => !isTrial(name)).map(formatCalled) ?? formats;
  await huntFormats(chosen, seed, keep);
  const kills = given.kills ?? (given.long ? '100' : '3');
  for (const trial of trials) {
    if (names ? !names.includes(trial.name) : trial.isLong && !given.long) continue;
    const count = kills === 'all' ? undefined : Number(kills);
    const isPossible = await trial.run({ seed, kills: count, only, keep });
    if (!isPossible) process.stdout.write(`${trial.name}: left out, this machine does not allow it\n`);
  }
  report(seed, tallies);
}

async function huntFormats(chosen: readonly Format[], seed: string, keep: Keep): Promise<void> {
  const jobs = Number(given.jobs ?? availableParallelism());
  const seconds = Number(given.seconds ?? (given.long ? 4 * 3600 : 90));
  const waiting = [...chosen];
  const start = Date.now();
  const worker = async (): Promise<void> => {
    for (let format = waiting.shift(); format; format = waiting.shift()) {
      // What the formats before left of their time belongs to those behind them.
      const left = start + seconds * 1000 - Date.now();
      const share = (left * jobs) / Math.max(jobs, waiting.length + jobs);
      const tally = await watched(format.name, {
        seed,
        from: 0,
        inputs: Number(given.inputs ?? Number.MAX_SAFE_INTEGER),
        until: given.inputs === undefined ? Date.now() + share : Number.MAX_SAFE_INTEGER,
        limits: limitsOf(format.name, readRows()),
        findings: resolve(given.findings),
        ...(given.long && { corpus: corpusOf(format) }),
      });
      keep(format.name, tally);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

function corpusOf({ name }: Format): string {
  const folder = resolve(given.corpus, name.replaceAll(' ', '-'));
  mkdirSync(folder, { recursive: true });
  return folder;
}

function namesIn(list: string): readonly string[] {
  return list.split(',').map((name) => name.trim());
}

function checkCommand(name: string): void {
  if (!scenarios.some((scenario) => scenario.name === name))
    throw new Error(`there are no kills of ${name}; see --help`);
}

function formatCalled(name: string): Format {
  const format = formats.find((each) => each.name === name);
  if (!format) throw new Error(`there is no format ${name}; see --help`);
  return format;
}

function commit(): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
}

function lineOf(name: string, { inputs, refused, accepted, slowest, largest, findings }: Tally): string {
  const counts = `${inputs} inputs, ${refused} refused, ${accepted} accepted, ${findings.length} findings`;
  return `${name.padEnd(28)}  ${counts}; at most ${slowest.toFixed(0)} ms, ${largest.toFixed(1)} MB\n`;
}

function report(seed: string, tallies: ReadonlyMap<string, Tally>): void {
  let [inputs, findings] = [0, 0];
  for (const [format, tally] of tallies) {
    inputs += tally.inputs;
    findings += tally.findings.length;
    for (const { input, what } of tally.findings)
      process.stdout.write(`\n${format}, input ${input}: ${what}\n`);
  }
  if (findings > 0)
    process.stdout.write(`\nagain: npm run hunt -- --again ${given.findings}/FORMAT-${seed}-INPUT.json\n`);
  process.stdout.write(`${inputs - findings} passed, ${findings} failed\n`);
  if (findings > 0) process.exitCode = 1;
}
