import '../cli/memory.ts';
import { formats } from './formats/formats.ts';
import { work } from './work.ts';

/** The process that reads inputs, with the command line's settings of memory. */
await work(formats);
