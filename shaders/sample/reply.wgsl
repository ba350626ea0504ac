// How a reply's tokens are chosen and what ends it: written by the host when a reply starts.
// end_tokens [end_count].
struct Reply {
  end_count: u32,
  end_tokens: array<u32>,
}
