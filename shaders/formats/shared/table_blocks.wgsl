// Blocks of formats whose 4 bits stand for one of 16 numbers.
// Needs: table_bytes (nibble_tables.wgsl), BlockBytes (blocks.wgsl).
fn table_block(table: vec4u, quants: BlockBytes) -> BlockBytes {
  return BlockBytes(table_words(table, quants.low), table_words(table, quants.high));
}

fn table_words(table: vec4u, quants: vec4u) -> vec4u {
  return vec4u(
    table_bytes(table, quants.x),
    table_bytes(table, quants.y),
    table_bytes(table, quants.z),
    table_bytes(table, quants.w),
  );
}
