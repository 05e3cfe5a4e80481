import type { RunBounds } from '../src/validate/bounded-runs.ts';
import { parseBytes } from './options.ts';

/** The options of how much memory a comparison takes, and where its temporary files go. */
export const boundOptions = {
  'max-memory': {
    type: 'string',
    describe: 'Memory that running a model may take (2GB where that is enough, else as little as it can)',
  },
  'tmp-dir': {
    type: 'string',
    describe: 'Existing folder for temporary files (the system’s temporary folder)',
  },
} as const;

/** The bounds that these options set. Throws `RequestError` for what is no size. */
export function runBounds(argv: {
  readonly 'max-memory'?: string | undefined;
  readonly 'tmp-dir'?: string | undefined;
}): RunBounds {
  const { 'max-memory': memory, 'tmp-dir': tmpDir } = argv;
  return { maxMemoryBytes: memory === undefined ? undefined : parseBytes(memory, '--max-memory'), tmpDir };
}
