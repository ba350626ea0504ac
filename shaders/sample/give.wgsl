// Ends a pass: gives its token to the host and to the next pass.
// Needs: control (shaders/control/write.wgsl), reply (shaders/sample/reply.wgsl), result [1] u32.

// What is chosen when no logit is a number.
const NOTHING = 0xffffffffu;
// A fault that no layer has: the text has ended.
const STOPPED = 0xffffffffu;

// Makes `token` what the pass has chosen and, where it continues, what the next one computes.
fn give(token: u32) {
  result[0] = token;
  if (control.continues == 0u) {
    return;
  }
  var ends = token == NOTHING;
  for (var index = 0u; index < reply.end_count; index++) {
    ends = ends || reply.end_tokens[index] == token;
  }
  if (ends) {
    atomicStore(&control.fault, STOPPED);
  }
  control.position += control.tokens;
  control.tokens = 1u;
  control.token_ids[0] = token;
}
