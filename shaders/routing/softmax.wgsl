// score = exp(logit - max_logit) / sum_exp: the softmax over all experts of a layer.
//
// Every score function supplies the same function, and grows with the logit:
//   router_score(logit, max_logit, sum_exp)
// where max_logit is the greatest logit of the layer's experts and sum_exp the sum of
// exp(logit - max_logit) over them.
fn router_score(logit: f32, max_logit: f32, sum_exp: f32) -> f32 {
  return exp(logit - max_logit) / sum_exp;
}
