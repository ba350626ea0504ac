import { costAware } from "./cost-aware.ts";
import { lfuDecayed } from "./lfu-decayed.ts";
import { lru } from "./lru.ts";
import { pinned } from "./pinned.ts";
import type { CreatePolicy } from "./policy.ts";

/** Every eviction policy, by name. To add one: write its file and name it here. */
export const evictionPolicies = {
  lru,
  "lfu-decayed": (context) => lfuDecayed(context),
  "cost-aware": (context) => costAware(context),
  pinned: (context) => pinned(context),
} as const satisfies Record<string, CreatePolicy>;

/** The name of an eviction policy. */
export type EvictionPolicyName = keyof typeof evictionPolicies;

/** What every tier uses unless told otherwise. */
export const DEFAULT_EVICTION_POLICY: EvictionPolicyName = "lfu-decayed";
