import source from "../../shaders/reduce/subgroup_probe.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Whether the lanes of subgroups are neighbours, in workgroups of LANES x ROWS invocations.
 *
 * found [2]: invocations in subgroups that are not as `shaders/reduce/subgroup.wgsl` needs them, and all invocations.
 */
export const subgroupProbe = defineKernel({
  name: "subgroup_probe",
  source,
  params: { unused: "u32" },
  buffers: { found: "read_write" },
  weights: false,
  control: "none",
  constants: { LANES: 32, ROWS: 4 },
  needs: "subgroups",
  grid: () => [1, 1, 1],
  work: () => ({ words: 2, multiplyAdds: 0 }),
});
