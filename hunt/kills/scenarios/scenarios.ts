import { bundling } from './bundling.ts';
import { converting } from './converting.ts';
import { fetching } from './fetching.ts';
import { rewriting } from './rewriting.ts';
import { running } from './running.ts';
import type { Scenario } from './scenario.ts';

/** All commands that write, and each way in which they do. */
export const scenarios: readonly Scenario[] = [
  ...converting,
  ...rewriting,
  ...bundling,
  ...running,
  ...fetching,
];
