#!/usr/bin/env node
// Runs a measurement written in TypeScript: node test/bench/run.mjs test/bench/FILE.ts [FLAGS]. Its `main` gets the flags.
import { openSource } from "../../src/cli/from-source.mjs";

const [file, ...flags] = process.argv.slice(2);
const vite = await openSource();
const { main } = await vite.ssrLoadModule(`/${file}`);
await main(flags);
process.exit(0);
