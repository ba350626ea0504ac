import { lfuDecayed } from "./lfu-decayed.ts";
import { lru } from "./lru.ts";
import type { EvictionPolicy } from "./policy.ts";

/** Every eviction policy, by name. To add one: write its file and name it here. */
export const evictionPolicies = {
  lru,
  "lfu-decayed": () => lfuDecayed(),
} as const satisfies Record<string, () => EvictionPolicy>;

/** The name of an eviction policy. */
export type EvictionPolicyName = keyof typeof evictionPolicies;

/** What the expert cache uses unless told otherwise. */
export const DEFAULT_EVICTION_POLICY: EvictionPolicyName = "lru";
