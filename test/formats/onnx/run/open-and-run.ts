/** Opens a model in a bare process, runs it without feeds (several times) and prints the error. For the tests of what else is printed. */
import { setTimeout } from 'node:timers/promises';
import { openOnnxSession } from '../../../../src/formats/onnx/run/onnx-session.ts';

const [path = '', runs = '1'] = process.argv.slice(2);
try {
  const session = await openOnnxSession(path, { optimize: true });
  try {
    for (let run = 0; run < Number(runs); run++) {
      await session.run(new Map());
      await setTimeout(100); // time for what happens between two runs
    }
  } finally {
    await session.close();
  }
} catch (error) {
  console.log(String(error));
}
