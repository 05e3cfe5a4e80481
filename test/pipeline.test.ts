import { expect, test } from 'vitest';
import { InterruptedError } from '../src/errors.ts';
import { Pipeline, type Stage } from '../src/pipeline.ts';

/** A stage that opens something, which tells when it is closed. */
function opening(name: string, closed: string[], then: () => void = () => {}): Stage<string, string> {
  return {
    name,
    async run(input, context) {
      context.closeAtEnd({ close: async () => void closed.push(name) });
      then();
      return { output: `${input} ${name}`, detail: '' };
    },
  };
}

test('stages run in a row, and what they opened is closed in the end, the last first', async () => {
  const closed: string[] = [];
  const pipeline = Pipeline.from(opening('one', closed)).to(opening('two', closed));
  expect(pipeline.stages).toEqual(['one', 'two']);
  expect(await pipeline.run('zero')).toBe('zero one two');
  expect(closed).toEqual(['two', 'one']);
});

test('after a failure what was opened is closed, too', async () => {
  const closed: string[] = [];
  const failing = opening('two', closed, () => {
    throw new Error('it broke');
  });
  await expect(Pipeline.from(opening('one', closed)).to(failing).run('')).rejects.toThrow('it broke');
  expect(closed).toEqual(['two', 'one']);
});

test('after an interruption what was opened is closed, and no other stage begins', async () => {
  const closed: string[] = [];
  const stop = new AbortController();
  const pipeline = Pipeline.from(opening('one', closed, () => stop.abort())).to(opening('two', closed));
  await expect(pipeline.run('', { signal: stop.signal })).rejects.toThrow(InterruptedError);
  expect(closed).toEqual(['one']);
});

test('what one stage gives and the next does not take is refused by the compiler', () => {
  const length: Stage<string, number> = {
    name: 'length',
    run: async ({ length }) => ({ output: length, detail: '' }),
  };
  const word = opening('word', []);
  expect(Pipeline.from(word).to(length).stages).toEqual(['word', 'length']);
  // @ts-expect-error: a number is not what `word` takes.
  expect(Pipeline.from(length).to(word).stages).toEqual(['length', 'word']);
});
