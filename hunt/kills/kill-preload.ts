/**
 * To be imported before the command line (`--import`): ends the process by SIGKILL before its call number `HUNT_KILL_AT` of
 * those that change the disk, or counts them all into the file `HUNT_COUNT`.
 */
import fs from 'node:fs';

const fatal = Number(process.env.HUNT_KILL_AT ?? Number.POSITIVE_INFINITY);
let made = 0;

const changing = [
  'mkdir',
  'writeFile',
  'rename',
  'rm',
  'rmdir',
  'unlink',
  'link',
  'symlink',
  'copyFile',
  'truncate',
];
const changingHandles = ['write', 'writeFile', 'datasync', 'sync', 'truncate'];

type Call = (...args: unknown[]) => Promise<unknown>;

function step(object: Record<string, unknown>, name: string): void {
  const real = object[name] as Call;
  object[name] = function (this: unknown, ...args: unknown[]) {
    made++;
    if (made >= fatal) {
      process.kill(process.pid, 'SIGKILL');
      for (;;); // nothing more happens
    }
    return real.apply(this, args);
  };
}

const disk = fs.promises as unknown as Record<string, unknown>;
for (const name of changing) step(disk, name);

const open = fs.promises.open.bind(fs.promises);
disk.open = async (path: string, flags: number | string = 'r', mode?: number) => {
  const isForReading = typeof flags === 'number' ? (flags & 3) === fs.constants.O_RDONLY : flags === 'r';
  if (isForReading) return open(path, flags, mode);
  made++;
  if (made >= fatal) {
    process.kill(process.pid, 'SIGKILL');
    for (;;);
  }
  const handle = (await open(path, flags, mode)) as unknown as Record<string, unknown>;
  for (const name of changingHandles) step(handle, name);
  return handle;
};

const { HUNT_COUNT: file } = process.env;
if (file !== undefined) process.on('exit', () => fs.writeFileSync(file, String(made)));
