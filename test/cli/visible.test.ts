import { expect, test } from 'vitest';
import { noteLine } from '../../cli/log-lines.ts';
import { visibleEvent } from '../../cli/visible.ts';

test('what is told while a command works is never longer than a few rows', () => {
  const long = 'name '.repeat(1e5);
  expect(noteLine(long).length).toBeLessThan(2000);
  const { message } = { message: '', ...visibleEvent({ type: 'note', message: long }) };
  expect(message).toMatch(/^name name .* … .*name $/);
  expect(message.length).toBeLessThan(2000);
});
