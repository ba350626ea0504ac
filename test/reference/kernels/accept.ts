/** What is left of a pass over drafted tokens: those that follow the known ones and the drafted ones that were right. */
export function acceptReference(
  tokens: readonly number[],
  known: number,
  verdict: readonly number[],
): number[] {
  let right = known;
  while (right < tokens.length && tokens[right] === verdict[right - 1]) right++;
  return Array.from({ length: right }, (_, i) => (i + 1 < known ? tokens[i + 1]! : verdict[i]!));
}
