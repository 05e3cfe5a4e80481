/**
 * To be imported before the command line (`--import`): ends the process by SIGKILL before its call number `HUNT_KILL_AT` of
 * those that change the disk.
 */
import { beforeChanges } from './changing-calls.ts';

const fatal = Number(process.env.HUNT_KILL_AT ?? Number.POSITIVE_INFINITY);
let made = 0;

beforeChanges(() => {
  made++;
  if (made < fatal) return undefined;
  process.kill(process.pid, 'SIGKILL');
  for (;;); // nothing more happens
});
