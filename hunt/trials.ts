import { huntKills, huntSystemKills } from './kills/kills.ts';
import { huntPairs } from './kills/pairs.ts';
import { huntDifferences } from './long/differences.ts';
import { huntDisks } from './long/disks.ts';
import { huntSmallMemory } from './long/small-memory.ts';
import type { Keep } from './tally.ts';

/** How to try whole commands. */
interface TrialOptions {
  readonly seed: string;
  /** Kills of each command; at every call where it is left out. */
  readonly kills?: number | undefined;
  /** Names of the commands to kill; all when left out. */
  readonly only?: readonly string[] | undefined;
  /** Told of each result as it comes. */
  readonly keep: Keep;
}

/** Something that is tried with whole commands. */
interface Trial {
  readonly name: string;
  /** For help. */
  readonly summary: string;
  /** Whether it is for long hunts alone. */
  readonly isLong: boolean;
  /** `false` where the machine does not allow it. */
  run(options: TrialOptions): Promise<boolean>;
}

export const trials: readonly Trial[] = [
  { name: 'kills', summary: 'commands are killed at any call', isLong: false, run: huntKills },
  {
    name: 'system kills',
    summary: 'the built command line is killed at system calls (needs strace)',
    isLong: true,
    run: huntSystemKills,
  },
  {
    name: 'pairs',
    summary: 'two processes write into one output',
    isLong: false,
    run: ({ kills = 10, keep }) => huntPairs(Math.max(1, Math.floor(kills / 2)), keep),
  },
  {
    name: 'differences',
    summary: 'one conversion with other threads, locales, folders, masks and orders',
    isLong: true,
    run: ({ keep }) => huntDifferences(keep),
  },
  {
    name: 'disks',
    summary: 'disks that are too small (needs root)',
    isLong: true,
    run: ({ keep }) => huntDisks(keep),
  },
  {
    name: 'memory',
    summary: 'SD 1.5 at its real size in 250 MB (needs root, 9 GB of disk)',
    isLong: true,
    run: ({ keep }) => huntSmallMemory(keep),
  },
];
