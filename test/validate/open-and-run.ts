/** Opens a model in a bare process, runs it without feeds and prints the error. For the tests of what else is printed. */
import { openOnnxSession } from '../../src/validate/onnx-session.ts';

const [path = ''] = process.argv.slice(2);
try {
  const session = await openOnnxSession(path, { optimize: true });
  await session.run(new Map()).finally(() => session.close());
} catch (error) {
  console.log(String(error));
}
