import { withArtifact } from '../formats/open.ts';
import type { Runner, RunnerOptions } from '../formats/runner.ts';
import { checkDeclaredInputs } from './declared-inputs.ts';

/** Loads an artifact of any format to be run. Throws as `openArtifact`, its `run` and `checkDeclaredInputs` do. */
export async function openRunner(path: string, options: RunnerOptions): Promise<Runner> {
  const runner = await withArtifact(path, (artifact) => artifact.run(options));
  try {
    checkDeclaredInputs(path, runner.inputs);
    return runner;
  } catch (error) {
    await runner.close();
    throw error;
  }
}
