/** Where a conversion's page is, beside `onnx` and `Resources` in the output folder. */
export const WEB_FOLDER = 'web';
