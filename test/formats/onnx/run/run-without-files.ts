/** Loads a model in a process of its own when this one may open no file more, and says what came of it. */
import { closeSync, openSync } from 'node:fs';
import { openStoredSession } from '../../../../src/formats/onnx/run/onnx-session.ts';
import { slowModel } from './slow-model.ts';

const opened: number[] = [];
try {
  for (;;) opened.push(openSync('/dev/null', 'r'));
} catch {
  // no more
}
const problem = await openStoredSession(slowModel(), { ownProcess: true }).catch(({ problem }) => problem);
for (const file of opened) closeSync(file);
console.log(problem);
