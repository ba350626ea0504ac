// Turns a pass over given tokens into one over the tokens that follow them:
//   control.token_ids[i] = control.token_ids[i + 1]
// and for the last one what stands behind the pass's tokens or, where that is NOTHING, verdict[0]:
// the most probable token after the pass. One thread.
// Needs: control, to write (shaders/control).

const NOTHING = 0xffffffffu;

struct Params {
  most: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> verdict: array<u32>;

@compute @workgroup_size(1)
fn main() {
  if (atomicLoad(&control.fault) != 0u) {
    return;
  }
  let tokens = min(control.tokens, params.most);
  for (var token = 0u; token < tokens; token++) {
    control.token_ids[token] = control.token_ids[token + 1u];
  }
  if (tokens > 0u && control.token_ids[tokens - 1u] == NOTHING) {
    control.token_ids[tokens - 1u] = verdict[0];
  }
}
