import { Buffer } from 'node:buffer';
import type { Format } from '../../hunt/format.ts';
import { work } from '../../hunt/work.ts';

/** A worker of the hunt whose readers are wrong in ways that no error tells of. */
function faulty(name: string, fault: () => unknown): Format {
  let read = 0;
  return {
    name,
    seeds: async () => [new Map([['x', Uint8Array.of(1)]])],
    parts: [{ files: /./, mutators: [(bytes, random) => bytes.map(() => random.below(256))] }],
    // The intact input is read first.
    read: async () => (read++ === 1 ? fault() : undefined),
  };
}

const kept: Buffer[] = [];

await work([
  faulty('hangs', () => {
    for (;;);
  }),
  faulty('eats', () => {
    for (;;) kept.push(Buffer.alloc(1e8, 1));
  }),
  faulty('dies', () => process.kill(process.pid, 'SIGKILL')),
  faulty('waits', () => undefined),
]);
