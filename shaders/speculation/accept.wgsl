// Turns a pass over drafted tokens into one over the tokens that follow those which were right:
//   n = known, and one more for each drafted token that is verdict of the token before it, up to
//       the first that is not
//   token_ids[i] = verdict[i] for i < n, or the next of the known tokens where there is one
//   tokens = n
// all of the control block. The word behind the pass's tokens is `known`: tokens from there on were
// drafted. verdict [tokens]: the most probable token after each. One thread.
// Needs: control, to write (shaders/control).

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
  let known = control.token_ids[tokens];
  var right = min(known, tokens);
  while (right < tokens && control.token_ids[right] == verdict[right - 1u]) {
    right++;
  }
  for (var token = 0u; token < right; token++) {
    if (token + 1u < known) {
      control.token_ids[token] = control.token_ids[token + 1u];
    } else {
      control.token_ids[token] = verdict[token];
    }
  }
  control.tokens = right;
}
