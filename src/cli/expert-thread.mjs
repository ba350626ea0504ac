// A thread of the command that helps to compute experts, from source. The built package has expert-thread.ts in its place.
import { openSource } from "./from-source.mjs";

const vite = await openSource();
await vite.ssrLoadModule("/src/cli/expert-thread.ts");
