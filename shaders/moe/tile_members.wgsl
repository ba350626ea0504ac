// The pairs of a tile that group_tokens.wgsl listed.
// Needs: pairs (the kernel).

// Four of them, from the one in place `first` on; places past the last one have that one again.
fn members_of(tile: vec4u, first: u32) -> vec4u {
  let place = min(vec4u(first, first + 1u, first + 2u, first + 3u), vec4u(tile.z - 1u)) + tile.y;
  return vec4u(pairs[place.x], pairs[place.y], pairs[place.z], pairs[place.w]);
}
