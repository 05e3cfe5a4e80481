import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Corpus, pack, seedsOf } from './corpus.ts';
import { type Files, type Format, mutated } from './format.ts';
import { type Judged, judge, type Limits } from './judge.ts';
import { Random } from './random.ts';
import { count, emptyTally, type Tally } from './tally.ts';

/** Which inputs of a format to read. */
export interface Stretch {
  readonly seed: string;
  /** Number of the first input. */
  readonly from: number;
  /** Number of inputs at most. */
  readonly inputs: number;
  /** Time after which no further input is begun, in milliseconds since 1970. */
  readonly until: number;
  readonly limits: Limits;
  /** Where inputs are laid out. */
  readonly folder: string;
  /** Where inputs that went wrong are kept. */
  readonly findings: string;
  /** Folder of the growing corpus; without it only intact inputs have descendants. */
  readonly corpus?: string | undefined;
}

/** Findings after which a format is not hunted on: the rest would be more of the same. */
const ENOUGH = 20;

/** Reads inputs of a format, telling `onInput` of each before it is read. */
export async function huntFormat(
  format: Format,
  { seed, from, inputs, until, limits, folder, findings, corpus: kept }: Stretch,
  onInput: (input: number, tally: Tally) => void = () => {},
): Promise<Tally> {
  const seeds = await seedsOf(format);
  const tally = emptyTally();
  // The first reading compiles and loads what the others only use.
  const intact = join(folder, 'intact');
  for (const files of seeds) {
    const { finding, refusal } = await judge(format, files, intact, { milliseconds: 1e6, megabytes: 1e6 });
    if (finding ?? refusal) throw new Error(`an intact ${format.name} is not read: ${finding ?? refusal}`);
  }
  const corpus = new Corpus(seeds, kept);
  for (let input = from; input < from + inputs && Date.now() < until; input++) {
    const random = new Random(`${seed} ${format.name} ${input}`);
    const files = mutated(format, random.pick(corpus.inputs), random);
    onInput(input, tally);
    const place = join(folder, 'input');
    let judged = await judge(format, files, place, limits, 'clock');
    // Garbage of inputs before it, or a busy machine: what really costs much does so twice. A fault is one the first time.
    if (judged.fault === undefined && (judged.finding !== undefined || isCostliest(judged, tally))) {
      if (judged.megabytes > tally.largest) globalThis.gc?.();
      judged = await judge(format, files, place, limits);
    }
    count(tally, input, judged);
    if (judged.finding === undefined) corpus.learn(files, judged.refusal);
    else keep(files, join(findings, `${format.name}-${seed}-${input}.json`));
    if (tally.findings.length >= ENOUGH) break;
  }
  return tally;
}

/** Less than this is noise. */
const noise: Limits = { milliseconds: 20, megabytes: 8 };

function isCostliest({ milliseconds, megabytes }: Judged, { slowest, largest }: Tally): boolean {
  return (
    milliseconds > Math.max(slowest, noise.milliseconds) || megabytes > Math.max(largest, noise.megabytes)
  );
}

function keep(files: Files, path: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, pack(files));
}
