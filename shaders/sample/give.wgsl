// Ends a pass: gives its token to the host and to the next pass.
// Needs: control (shaders/control/write.wgsl), reply (shaders/sample/reply.wgsl), result [1] u32.

// What is chosen when no logit is a number.
const NOTHING = 0xffffffffu;
// Added to a fault when its pass is over. The passes behind have the same layers: without it, their
// router of that layer would take the fault for one of its own tokens and write over its choice.
const HELD = 0x80000000u;
// A fault that no layer has: the text has ended.
const STOPPED = 0xffffffffu;

// The fault of the pass, or 0. To be asked by one invocation before it gives anything.
fn hold_fault() -> u32 {
  let fault = atomicLoad(&control.fault);
  if (fault != 0u) {
    atomicStore(&control.fault, fault | HELD);
  }
  return fault;
}

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
