import { formats } from './formats/formats.ts';
import { work } from './work.ts';

/** The process that reads inputs. */
await work(formats);
