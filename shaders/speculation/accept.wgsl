// Turns a pass of drafted tokens into one over the tokens that follow those which were right.
// The tokens after the first `known` ones are drafted: token i is right if it is verdict[i - 1], and
// all drafted ones before it are. Then, with n = known + the right ones,
//   control.tokens = n and control.token_ids[i] = verdict[i] for i < n, but where token i + 1 was
//   known: there it is token_ids[i + 1].
// known = control.token_ids[tokens]: the word behind the pass's tokens. verdict [tokens]: the most
// probable token after each. One thread.
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
