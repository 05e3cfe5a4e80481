/**
 * Every operation that an ML Program can have (the operations of coremltools' registry), with the iOS versions in which
 * Core ML's own definition of it changed. Of these the newest that a function may use is the operation's name in a
 * compiled model's statistics: `Ios16.einsum`. Apple publishes no such list; it was put together from compiled models,
 * and where none shows an operation, from its nearest relatives. Apps read no entry but that of `einsum`.
 */
const revisions: ReadonlyMap<string, readonly number[]> = new Map(
  Object.entries({
    '16 17 18':
      'add sub mul real_div floor_div mod pow maximum minimum equal not_equal greater greater_equal less less_equal ' +
      'logical_and logical_or logical_xor logical_not cast clip log rsqrt inverse conv conv_transpose linear matmul ' +
      'layer_norm batch_norm instance_norm l2_norm local_response_norm reshape gather gather_nd gather_along_axis ' +
      'scatter scatter_nd scatter_along_axis topk lstm gru rnn reduce_argmax reduce_argmin leaky_relu elu prelu ' +
      'clamped_relu linear_activation scaled_tanh sigmoid_hard softplus_parametric thresholded_relu affine classify ' +
      'conv_quantized crop list_gather list_length list_read list_scatter list_write make_list random_bernoulli ' +
      'random_categorical random_normal random_uniform',
    '17 18':
      'transpose slice_by_index slice_by_size squeeze expand_dims concat reverse reverse_sequence sliding_windows reshape_like',
    '16 18':
      'silu sigmoid softmax relu relu6 gelu tanh softplus softsign sin cos tan asin acos atan sinh cosh atanh exp exp2 ' +
      'erf abs ceil floor round sign sqrt square threshold max_pool avg_pool l2_pool constexpr_lut_to_dense ' +
      'constexpr_sparse_to_dense constexpr_cast',
    '16':
      'reduce_mean reduce_sum reduce_max reduce_min reduce_prod reduce_l1_norm reduce_l2_norm reduce_log_sum ' +
      'reduce_log_sum_exp reduce_sum_square einsum cumsum upsample_bilinear resample crop_resize pixel_unshuffle ' +
      'fill_like constexpr_affine_dequantize',
    '17': 'quantize dequantize resize non_maximum_suppression',
    '18':
      'constexpr_blockwise_shift_scale constexpr_lut_to_sparse constexpr_sparse_blockwise_shift_scale read_state ' +
      'write_state slice_update scaled_dot_product_attention',
    '':
      'const pad split tile stack select identity shape range_1d fill upsample_nearest_neighbor depth_to_space ' +
      'space_to_depth pixel_shuffle band_part one_hot non_zero resize_bilinear resize_nearest_neighbor cond while_loop ' +
      'flatten2d batch_to_space space_to_batch argsort',
  }).flatMap(([versions, types]) =>
    types
      .split(' ')
      .map((type): [string, number[]] => [type, versions ? versions.split(' ').map(Number) : []]),
  ),
);

/** Whether Core ML has an operation of this type. */
export function isMilOperation(type: string): boolean {
  return revisions.has(type);
}

/** Name of an operation in a compiled model's statistics, for a function of an iOS version. */
export function statisticsName(type: string, ios: number): string {
  const camelCase = type.replaceAll(/_+(.?)/g, (_match, letter: string) => letter.toUpperCase());
  const revision = revisions.get(type)?.findLast((version) => version <= ios);
  if (revision !== undefined) return `Ios${revision}.${camelCase}`;
  return camelCase.charAt(0).toUpperCase() + camelCase.slice(1);
}
