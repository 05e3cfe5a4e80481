/** Writes `model.bin`, in the way that its argument names: soundly, or with one of the faults that a hunt of kills must find. */
import { promises as fs } from 'node:fs';

/** Nothing closes it. */
export let held: fs.FileHandle | undefined;

const ways: Readonly<Record<string, () => Promise<void>>> = {
  async soundly() {
    for (const name of await fs.readdir('.'))
      if (name.startsWith('.sdc-')) await fs.rm(name, { recursive: true });
    await written('.sdc-stage');
    await fs.rename('.sdc-stage', 'model.bin');
  },
  'in place': () => written('model.bin'),
  async 'after removing'() {
    await fs.rm('model.bin');
    await written('.sdc-stage');
    await fs.rename('.sdc-stage', 'model.bin');
  },
  async 'without sweeping'() {
    const stage = `.sdc-${process.hrtime.bigint()}`;
    await written(stage);
    await fs.rename(stage, 'model.bin');
  },
  async once() {
    await fs.mkdir('.sdc-stage'); // is in the way of the next run
    await written('.sdc-stage/model.bin');
    await fs.rename('.sdc-stage/model.bin', 'model.bin');
    await fs.rmdir('.sdc-stage');
  },
  async 'with a file open'() {
    await written('.sdc-stage');
    await fs.rename('.sdc-stage', 'model.bin');
    held = await fs.open('model.bin');
  },
  async 'by what is there'() {
    const stages = (await fs.readdir('.')).filter((name) => name.startsWith('.sdc-'));
    await fs.writeFile('.sdc-stage', `new, beside ${stages.length}`);
    await fs.rename('.sdc-stage', 'model.bin');
  },
};

async function written(path: string): Promise<void> {
  const file = await fs.open(path, 'w');
  for (const half of ['all ', 'new']) await file.write(half);
  await file.close();
}

const way = ways[process.argv[2] ?? ''];
if (!way) throw new Error(`there is no such way: ${process.argv[2]}`);
await way().catch((error) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});
