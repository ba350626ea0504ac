// Random numbers without a state: the same for the same seed and index.

// A multiple of 2^-24 in [0, 1). Also in src/numeric/random.ts.
// Source: pcg3d of Jarzynski and Olano, Hash Functions for GPU Rendering, JCGT 9(3), 2020.
fn uniform_at(seed_low: u32, seed_high: u32, index: u32) -> f32 {
  var words = vec3u(seed_low, seed_high, index) * 1664525u + 1013904223u;
  words.x += words.y * words.z;
  words.y += words.z * words.x;
  words.z += words.x * words.y;
  words ^= words >> vec3u(16u);
  words.x += words.y * words.z;
  return f32(words.x >> 8u) * 5.9604644775390625e-8;
}
