// Writes 64 numbers of a cache, two blocks, in signed bytes. See q8_0.wgsl.
// A scale is rounded up to 16 bits, so that no quant exceeds 127.
// Needs: cache, an array of words (pack_cache.wgsl).
const MOST = 127.0;
const SMALLEST = 0x1p-126;

fn store_unit(scales_first: u32, unit: u32, numbers: array<vec4f, 16>) {
  var quads = numbers;
  var scales = 0u;
  for (var block = 0u; block < 2u; block++) {
    var highest = vec4f();
    for (var quad = 8u * block; quad < 8u * block + 8u; quad++) {
      highest = max(highest, abs(quads[quad]));
    }
    let top = max(max(highest.x, highest.y), max(highest.z, highest.w));
    let bits = (bitcast<u32>(top / MOST) + 0xffffu) >> 16u;
    let scale = max(bitcast<f32>(bits << 16u), SMALLEST);
    for (var quad = 8u * block; quad < 8u * block + 8u; quad++) {
      let quants = clamp(round(quads[quad] / scale), vec4f(-MOST), vec4f(MOST));
      cache[16u * unit + quad] = pack4xI8(vec4i(quants));
    }
    scales |= bits << (16u * block);
  }
  cache[scales_first + unit] = scales;
}
