import { expect, test } from 'vitest';
import { exhausted } from '../../src/io/exhausted.ts';

const withCode = (code: string): Error => Object.assign(new Error('refused'), { code });

test.each([
  [new RangeError('Array buffer allocation failed'), 'too little memory'],
  [withCode('ERR_WORKER_OUT_OF_MEMORY'), 'too little memory'],
  [withCode('ERR_WORKER_INIT_FAILED'), 'no more threads or processes'],
  [withCode('EMFILE'), 'too many files are open'],
  [
    new RangeError('WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory for new instance'),
    'may not reserve its addresses',
  ],
])('%s is told as a limit of the machine, with what lifts it', (error, what) => {
  const told = exhausted(error);
  expect(told?.problem).toContain(what);
  expect(told?.advice).toMatch(/ulimit/);
});

test.each([new RangeError('Invalid array length'), new TypeError('x is not a function'), 'text'])(
  '%s is none',
  (error) => expect(exhausted(error)).toBeUndefined(),
);
