/** Facts that only ONNX models have. */
export interface OnnxFacts {
  readonly irVersion: number;
  /** Version of each operator set; `ai.onnx` is the standard one. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: string;
}
