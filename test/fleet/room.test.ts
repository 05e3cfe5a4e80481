import { expect, test } from 'vitest';
import { Room } from '../../src/fleet/room.ts';

/** A room of so much memory and disk, and what happened in it. */
function roomOf(memoryBytes: number, disk = 1e9) {
  const entered: string[] = [];
  const room = new Room({ memoryBytes, freeDiskBytes: async () => disk });
  const guests = new Map<string, object>();
  const enter = (name: string, memory: number, diskBytes = 0): void => {
    const who = guests.get(name) ?? {};
    guests.set(name, who);
    void room.enter(who, { memoryBytes: memory, diskBytes }).then(() => entered.push(name));
  };
  const leave = (name: string): void => room.leave(guests.get(name) ?? {});
  const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
  return { entered, enter, leave, settled };
}

test('items enter while their memory fits, and the next when one leaves', async () => {
  const { entered, enter, leave, settled } = roomOf(10);
  enter('a', 4);
  enter('b', 4);
  enter('c', 4);
  await settled();
  expect(entered).toEqual(['a', 'b']);
  leave('a');
  await settled();
  expect(entered).toEqual(['a', 'b', 'c']);
});

test('the disk that others are about to fill is not promised again', async () => {
  const { entered, enter, leave, settled } = roomOf(100, 10);
  enter('a', 1, 6);
  enter('b', 1, 6);
  await settled();
  expect(entered).toEqual(['a']);
  leave('a');
  await settled();
  expect(entered).toEqual(['a', 'b']);
});

test('one that is larger than everything enters alone, in its turn', async () => {
  const { entered, enter, leave, settled } = roomOf(10);
  enter('a', 4);
  enter('giant', 50);
  enter('c', 1);
  await settled();
  expect(entered).toEqual(['a']); // c waits behind the giant, which would wait for ever otherwise
  leave('a');
  await settled();
  expect(entered).toEqual(['a', 'giant']);
  leave('giant');
  await settled();
  expect(entered).toEqual(['a', 'giant', 'c']);
});

test('two that both ask for more do not wait for each other', async () => {
  const { entered, enter, settled } = roomOf(10);
  enter('a', 5);
  enter('b', 5);
  await settled();
  enter('a', 8);
  enter('b', 8);
  await settled();
  expect(entered).toEqual(['a', 'b', 'a']);
});

test('who gives up waiting is passed over', async () => {
  const { entered, enter, leave, settled } = roomOf(10);
  enter('a', 8);
  enter('b', 8);
  enter('c', 2);
  await settled();
  leave('b');
  await settled();
  expect(entered).toEqual(['a', 'c']);
});
