// The products of a unit of one row with the same columns of four inputs, added as matvec adds
// them: so a result's bits do not depend on what shares its tile.
// Needs: unit_dot and input_unit (unit).
fn tile_dots(w: WeightUnit, inputs: array<InputUnit, 4>) -> vec4f {
  return vec4f(
    unit_dot(w, inputs[0]),
    unit_dot(w, inputs[1]),
    unit_dot(w, inputs[2]),
    unit_dot(w, inputs[3]),
  );
}

// Unit `unit` of the inputs that start at four quads of x.
fn input_tile(first: vec4u, unit: u32) -> array<InputUnit, 4> {
  return array<InputUnit, 4>(
    input_unit(first.x, unit),
    input_unit(first.y, unit),
    input_unit(first.z, unit),
    input_unit(first.w, unit),
  );
}
