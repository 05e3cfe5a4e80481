/**
 * To be imported before the command line (`--import`): ends the process by SIGKILL before its call number `HUNT_KILL_AT` of
 * those that change the disk; only a process whose program is called `HUNT_KILL_IN`, where that is said. Without a kill, the
 * number of its calls is written to `HUNT_CALLS`, and to `HUNT_STATES` those of the files whose names fit `HUNT_GROWING`. Of two
 * processes with the same folder in `HUNT_MEET`, neither changes anything before the other is about to.
 */
import { writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { beforeChanges } from './changing-calls.ts';
import { meetingIn } from './meeting.ts';
import { FileStates } from './tree.ts';

const { HUNT_KILL_AT, HUNT_KILL_IN, HUNT_CALLS, HUNT_STATES, HUNT_GROWING, HUNT_MEET } = process.env;
const fatal = Number(HUNT_KILL_AT ?? Number.POSITIVE_INFINITY);
const states = HUNT_GROWING === undefined ? undefined : new FileStates(new RegExp(HUNT_GROWING));
const meet = HUNT_MEET !== undefined && isMainThread ? meetingIn(HUNT_MEET) : undefined;
let made = 0;

if (HUNT_KILL_IN === undefined || process.argv[1]?.includes(HUNT_KILL_IN)) {
  process.on('exit', () => {
    if (HUNT_CALLS !== undefined) writeFileSync(HUNT_CALLS, String(made));
    if (HUNT_STATES !== undefined) writeFileSync(HUNT_STATES, JSON.stringify(states));
  });
  beforeChanges(() => {
    states?.note(process.cwd());
    made++;
    if (made < fatal) return meet?.();
    process.kill(process.pid, 'SIGKILL');
    for (;;); // nothing more happens
  });
}
