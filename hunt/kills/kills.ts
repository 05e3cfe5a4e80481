import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exists, listFolder } from '../../src/io/disk.ts';
import { Random } from '../random.ts';
import { emptyTally, type Keep, type Tally } from '../tally.ts';
import { prepareProcess, sdconvertHere } from './in-process.ts';
import { ownFolder } from './own-folder.ts';
import { startOwnHub } from './scenarios/hub-repositories.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { scenarios } from './scenarios/scenarios.ts';
import { type Ended, type KilledRun, sdconvertAround, TEMPORARY } from './sdconvert-process.ts';
import { canTrace, TracedProcess } from './traced-process.ts';
import {
  artifactsOf,
  differences,
  FileStates,
  leftovers,
  sameWhereVaries,
  type Tree,
  treeOf,
} from './tree.ts';

/** How to kill. */
export interface KillOptions {
  readonly seed: string;
  /** Kills of each command: the calls are chosen by the seed; at every call where it is left out. */
  readonly kills?: number | undefined;
  /** Names of the scenarios; all when left out. */
  readonly only?: readonly string[] | undefined;
  /** The scenarios that there are; those of all commands when left out. */
  readonly among?: readonly Scenario[] | undefined;
  /** Told of each scenario as it ends. */
  readonly keep: Keep;
}

/** How a command is run and killed, other than in this process. */
interface Killer {
  /** Numbers the calls of a run; gives how many there are. */
  count?(args: readonly string[], cwd: string): Promise<number>;
  run(args: readonly string[], options: KilledRun): Promise<Ended & { readonly calls?: number }>;
}

/** So many kills of a command are for long hunts. */
const MANY = 100;

/**
 * Stops each writing command for good before calls that change the disk, as a kill does. Afterwards each artifact must be the old one or the new one,
 * whole; the same command must finish, byte for byte as without a kill, and leave nothing else.
 */
export async function huntKills({ seed, kills, only, among = scenarios, keep }: KillOptions): Promise<true> {
  await inPlace(async (folder) => {
    for (const scenario of among) {
      if (only && !only.includes(scenario.name)) continue;
      if (scenario.takesLong && !only && kills !== undefined && kills < MANY) continue;
      const place = { folder, random: new Random(`${seed} ${scenario.name}`), kills };
      await tryScenario(scenario, place, (tally) => keep(`kill ${scenario.name}`, tally));
    }
  });
  return true;
}

/** The most of each command, unless it is killed at every call: each starts a process that is traced. */
const SYSTEM_KILLS = 20;

/**
 * Does the same to the built command line, by the system: at the entry of calls that the kernel gets, in whatever thread or
 * process. `false` where there is no strace, or nothing is built.
 */
export async function huntSystemKills({ seed, kills, only, keep }: KillOptions): Promise<boolean> {
  if (!canTrace()) return false;
  await inPlace(async (folder) => {
    for (const scenario of scenarios) {
      if (only ? !only.includes(scenario.name) : !scenario.bySystem) continue;
      const killer = new TracedProcess();
      const random = new Random(`${seed} ${scenario.name}`);
      const place = { folder, random, kills: kills && Math.min(kills, SYSTEM_KILLS), killer };
      await tryScenario(scenario, place, (tally) => keep(`system kill ${scenario.name}`, tally));
    }
  });
  return true;
}

/** Does work with a folder, beside a Hub, in a process in which all others are gone. */
async function inPlace(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = ownFolder('kills');
  const hub = await startOwnHub();
  const restore = prepareProcess();
  try {
    await work(folder.path);
  } finally {
    restore();
    await hub.close();
    folder.remove();
  }
}

async function tryScenario(scenario: Scenario, place: Place, keep: (tally: Tally) => void): Promise<void> {
  if (scenario.needs !== undefined && !existsSync(scenario.needs)) {
    process.stdout.write(`kill ${scenario.name}: left out, ${scenario.needs} is not built\n`);
    return;
  }
  const failed = (error: unknown) => ({ ...emptyTally(), findings: [{ input: 0, what: String(error) }] });
  keep(await killScenario(scenario, place).catch(failed));
  for (const entry of readdirSync(place.folder)) rmSync(join(place.folder, entry), { recursive: true });
}

/** What is run, and in which process. */
type Commanded = Pick<Scenario, 'inside' | 'program'>;

function killerOf({ inside, program }: Commanded): Killer {
  if (inside === undefined) return { run: (args, options) => sdconvertHere(args, { program, ...options }) };
  return { run: (args, options) => sdconvertAround(args, { inside, ...options }) };
}

interface Place {
  readonly folder: string;
  readonly random: Random;
  readonly kills: number | undefined;
  /** The scenario's own when left out. */
  readonly killer?: Killer | undefined;
}

async function killScenario(
  scenario: Scenario,
  { folder, random, kills, killer = killerOf(scenario) }: Place,
): Promise<Tally> {
  const { prepare, args, name, program, together = /_chunk\d/, varies = /^$/, grows = /^$/ } = scenario;
  let places = 0;
  // The process remembers folders that it has looked through: each run has one that is new to it.
  const newPlace = (): string => join(folder, `place ${name} ${places++}`);
  const base = newPlace();
  mkdirSync(join(base, TEMPORARY), { recursive: true });
  await prepare(base, async (...own) => {
    const { code, output } = await sdconvertHere(own, { cwd: base });
    if (code !== 0) throw new Error(`${name} cannot be prepared: ${output}`);
  });
  const seen = (place: string): Tree => sameWhereVaries(treeOf(place), varies);
  const old = seen(base);
  const whole = copyOf(base, newPlace());
  // Records are brought up to date artifact by artifact, in every command.
  const states = new FileStates(new RegExp(`(^|/)sdconvert\\.json$|${grows.source}`));
  // Who counts tells of no states.
  const { code, output, calls = 0 } = await killerOf(scenario).run(args, { cwd: whole, states });
  if (code !== 0) throw new Error(`${name} does not work without a kill: ${output}`);
  const fresh = seen(whole);
  const counted = await killer.count?.(args, copyOf(base, newPlace()));

  const tally = emptyTally();
  for (const call of chosenCalls(counted ?? calls, kills, random)) {
    for (const entry of readdirSync(folder))
      if (join(folder, entry) !== base) rmSync(join(folder, entry), { recursive: true });
    const before = copyOf(base, newPlace());
    const killed = await killer.run(args, { cwd: before, killAt: call });
    const place = newPlace();
    renameSync(before, place);
    tally.inputs++;
    // Threads, and answers of a server, come in an order of their own: with fewer calls it may end as without a kill.
    if (killed.code === 0 && differences(seen(place), fresh).length === 0) {
      tally.refused++;
      continue;
    }
    const wrong =
      (killed.code === 'SIGKILL'
        ? undefined
        : `it ended with ${killed.code} before its call: ${killed.output}`) ??
      (await wrongAfterKill(place, { ...scenario, old, fresh, states, together, seen })) ??
      (await wrongAfterRerun({ args, program, place, next: newPlace(), fresh, seen })) ??
      (readdirSync(folder).length > 2 ? `something lies beside it: ${readdirSync(folder)}` : undefined);
    if (wrong === undefined) tally.accepted++;
    else tally.findings.push({ input: call, what: wrong });
  }
  if (tally.refused === tally.inputs) tally.findings.push({ input: 0, what: 'no kill ended it' });
  return tally;
}

/** A copy of what a scenario begins with. */
function copyOf(prepared: string, folder: string): string {
  cpSync(prepared, folder, { recursive: true, verbatimSymlinks: true });
  return folder;
}

function chosenCalls(calls: number, kills: number | undefined, random: Random): readonly number[] {
  const all = Array.from({ length: calls }, (_, index) => index + 1);
  if (kills === undefined || kills >= calls) return all;
  // One from each stretch, so that a few kills are spread over the whole run.
  return Array.from({ length: kills }, (_, part) => {
    const [start, end] = [Math.floor((part * calls) / kills), Math.floor(((part + 1) * calls) / kills)];
    return start + 1 + random.below(end - start);
  });
}

/** What was there before, what is there afterwards, and which artifacts must be of one of the two. */
interface States extends Pick<Scenario, 'isRemovedFirst'> {
  readonly old: Tree;
  readonly fresh: Tree;
  /** Of the files that grow. */
  readonly states: FileStates;
  readonly together: RegExp;
  /** What lies in a folder, for comparison. */
  readonly seen: (folder: string) => Tree;
}

async function wrongAfterKill(
  place: string,
  { old, fresh, states, together, seen, isRemovedFirst = false }: States,
): Promise<string | undefined> {
  await lookAround(place);
  const [before, after] = [artifactsOf(old), artifactsOf(fresh)];
  const found = artifactsOf(seen(place));
  const isVersion = (files: Tree | undefined, version: Tree | undefined): boolean =>
    differences(files ?? new Map(), version ?? new Map()).length === 0;
  for (const artifact of new Set([...before.keys(), ...after.keys(), ...found.keys()])) {
    const files = found.get(artifact);
    if (files ? states.has(files) : isRemovedFirst) continue;
    if (!isVersion(files, before.get(artifact)) && !isVersion(files, after.get(artifact)))
      return `${artifact} is neither the old nor the new one: ${[...(files?.keys() ?? ['nothing'])].join(', ')}`;
  }
  const forms = [found, before, after].map((artifacts) => filesOf(artifacts, together));
  const [of = new Map()] = forms;
  const isOne = forms.slice(1).some((form) => differences(of, form).length === 0);
  return isOne ? undefined : `${[...of.keys()].join(', ')} are neither the old nor the new ones`;
}

function filesOf(artifacts: ReadonlyMap<string, Tree>, wanted: RegExp): Tree {
  return new Map([...artifacts].flatMap(([path, files]) => (wanted.test(path) ? [...files] : [])));
}

/** The first look that any command takes: it finishes what was ready. */
async function lookAround(folder: string): Promise<void> {
  for (const name of await listFolder(folder)) {
    const path = join(folder, name);
    if ((await exists(path)) && !name.includes('.')) await lookAround(path).catch(() => {});
  }
}

interface Rerun {
  readonly args: readonly string[];
  readonly program: string | undefined;
  readonly place: string;
  /** Another name for it, which the process does not know yet. */
  readonly next: string;
  readonly fresh: Tree;
  readonly seen: States['seen'];
}

async function wrongAfterRerun({
  args,
  program,
  place,
  next,
  fresh,
  seen,
}: Rerun): Promise<string | undefined> {
  const wasDone = differences(seen(place), fresh).length === 0;
  renameSync(place, next);
  const { code, output } = await sdconvertHere(args, { cwd: next, program });
  // What is done already may be refused: the original is gone, or the result exists.
  if (code !== 0 && !(wasDone && code === 1)) return `the same command again ends with ${code}: ${output}`;
  const tree = seen(next);
  const rest = leftovers(tree);
  if (rest.length > 0) return `it leaves ${rest.join(', ')}`;
  const different = differences(tree, fresh);
  return different.length > 0
    ? `the same command again gives something else: ${different.join(', ')}`
    : undefined;
}
