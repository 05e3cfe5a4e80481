/**
 * To be imported before the command line (`--import`): ends the process by SIGKILL before its call number `HUNT_KILL_AT` of
 * those that change the disk; only a process whose program is called `HUNT_KILL_IN`, where that is said. Without a kill, the
 * number of its calls is written to `HUNT_CALLS`.
 */
import { writeFileSync } from 'node:fs';
import { beforeChanges } from './changing-calls.ts';

const { HUNT_KILL_AT, HUNT_KILL_IN, HUNT_CALLS } = process.env;
const fatal = Number(HUNT_KILL_AT ?? Number.POSITIVE_INFINITY);
let made = 0;

if (HUNT_KILL_IN === undefined || process.argv[1]?.includes(HUNT_KILL_IN)) {
  if (HUNT_CALLS !== undefined) process.on('exit', () => writeFileSync(HUNT_CALLS, String(made)));
  beforeChanges(() => {
    made++;
    if (made < fatal) return undefined;
    process.kill(process.pid, 'SIGKILL');
    for (;;); // nothing more happens
  });
}
