import { withArtifact } from '../formats/open.ts';
import type { Runner, RunnerOptions } from '../formats/runner.ts';

/** Loads an artifact of any format to be run. Throws as `openArtifact` and its `run` do. */
export async function openRunner(path: string, options: RunnerOptions): Promise<Runner> {
  return withArtifact(path, (artifact) => artifact.run(options));
}
