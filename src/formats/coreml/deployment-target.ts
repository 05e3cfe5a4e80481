/** The systems a package is made for: the oldest that loads it, and the version of the operations it may use. */
export const deploymentTargets = {
  macOS13: { ios: 16, opset: 'CoreML6', specificationVersion: 7 },
  macOS14: { ios: 17, opset: 'CoreML7', specificationVersion: 8 },
  macOS15: { ios: 18, opset: 'CoreML8', specificationVersion: 9 },
} as const;

/** The oldest macOS that loads a package; iOS 16, 17 and 18 go with macOS 13, 14 and 15. */
export type DeploymentTarget = keyof typeof deploymentTargets;
