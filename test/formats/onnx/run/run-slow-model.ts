/** Runs a model for minutes in a process of its own, and says when it begins. For the tests of how that process ends. */
import { openStoredSession } from '../../../../src/formats/onnx/run/onnx-session.ts';
import { slowModel } from './slow-model.ts';

const [, , outputFiles = ''] = process.argv;
const session = await openStoredSession(slowModel(), { ownProcess: true });
const run = session.run(new Map(), outputFiles);
console.log('it computes');
await run;
