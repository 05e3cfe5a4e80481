import type { DeploymentTarget } from './deployment-target.ts';

/** Facts that only Core ML models have. */
export interface CoreMlFacts {
  readonly specificationVersion: number;
  /** `CoreML6` */
  readonly opset: string;
  /** The oldest system that has this opset. */
  readonly deploymentTarget: DeploymentTarget | null;
  /** Attention as apps detect it: by the presence of einsum operations. `null` without attention. */
  readonly attention: 'SPLIT_EINSUM' | 'ORIGINAL' | null;
}
