/** The npm package `safetensors` has no types of its own. It serves as a second opinion on the files we write. */
declare module 'safetensors' {
  class SafeTensor {
    constructor(file: Uint8Array);
    readonly metadata: ReadonlyMap<string, { dtype: string; shape: number[]; data_offsets: number[] }>;
    getTensor(name: string): Uint8Array;
  }
  const safetensors: { readonly SafeTensor: typeof SafeTensor };
  export default safetensors;
}
