// A layer norm that takes its mean for 0 (layer_normed.wgsl).
const INPUT_CENTRED = false;
