import { SdConvertError } from '../errors.ts';
import { errorCode } from './error-code.ts';

/** What this machine, or a limit set on this process, has too little of, by what Node says of it. */
const scarce: readonly { readonly what: string; readonly advice: string; is(error: Error): boolean }[] = [
  {
    // Node's WebAssembly reserves addresses, not memory.
    is: ({ message }) => /^WebAssembly\.\w+\(\).*memory/i.test(message),
    what: 'WebAssembly may not reserve its addresses: they are limited here',
    advice: 'Lift that limit (ulimit -v unlimited), or set NODE_OPTIONS=--disable-wasm-trap-handler.',
  },
  {
    is: (error) =>
      ['ENOMEM', 'ERR_WORKER_OUT_OF_MEMORY'].includes(errorCode(error)) ||
      (error instanceof RangeError && /allocation failed|out of memory/i.test(error.message)),
    what: 'this machine has too little memory for this, or a limit allows no more',
    advice:
      'Close other programs, lift the limit (ulimit -v, ulimit -m), or convert one model at a time (--convert-unet).',
  },
  {
    is: (error) => ['EAGAIN', 'ERR_WORKER_INIT_FAILED'].includes(errorCode(error)),
    what: 'no more threads or processes may be started here',
    advice: 'End other programs, or lift the limit (ulimit -u, or that of the container).',
  },
  {
    is: (error) => ['EMFILE', 'ENFILE'].includes(errorCode(error)),
    what: 'too many files are open',
    advice: 'Allow more (ulimit -n 1024), or close programs that hold many.',
  },
];

/**
 * The error for what there is too little of on this machine, and what could not be done for that, if it is known; `undefined` for
 * any other error.
 */
export function exhausted(error: unknown, failed?: string): SdConvertError | undefined {
  const found = error instanceof Error ? scarce.find((each) => each.is(error)) : undefined;
  if (!found) return undefined;
  const problem = failed === undefined ? `${found.what}.` : `${failed}: ${found.what}.`;
  return new SdConvertError({ problem, advice: found.advice }, { cause: error });
}
