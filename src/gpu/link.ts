const DIRECTIVE = /^[ \t]*(?:enable|requires|diagnostic)\b[^;]*;[^\n]*\n?/gm;

/**
 * Joins WGSL sources into one module: every directive first, then the declarations.
 * WGSL lets a declaration be used before it appears, so the order of `sources` is free. What several of them need may
 * be named by each: a source that is there twice is joined once.
 */
export function linkWgsl(sources: readonly string[]): string {
  const directives = new Set<string>();
  const bodies = [...new Set(sources)].map((source) =>
    source.replace(DIRECTIVE, (line) => {
      directives.add(line.trim());
      return "";
    }),
  );
  return [...directives, ...bodies].join("\n");
}
