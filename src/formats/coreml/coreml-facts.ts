import type { DeploymentTarget } from './deployment-target.ts';

/** What there is to tell of a Core ML model beyond what all models have. */
export interface CoreMlFacts {
  readonly specificationVersion: number;
  /** `CoreML6` */
  readonly opset: string;
  /** The oldest system that has this opset. */
  readonly deploymentTarget: DeploymentTarget | null;
  /** As apps tell it: by whether there are einsum operations. `null` without attention. */
  readonly attention: 'SPLIT_EINSUM' | 'ORIGINAL' | null;
}
