// A token's weight in the draw: 0 for one that may not be drawn.
// Needs: place_of (shaders/sample/places.wgsl), reply.

fn weight_of(gap: f32, cutoff: u32) -> f32 {
  let exponent = -gap / reply.temperature;
  // NaN is not kept; what f32 cannot hold is 0 on every device.
  let kept = gap <= reply.widest_gap && place_of(gap) <= cutoff && exponent > -87.0;
  return select(0.0, exp(exponent), kept);
}
