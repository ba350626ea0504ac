// A layer norm as it is (layer_normed.wgsl).
const INPUT_CENTRED = true;
