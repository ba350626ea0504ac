import { describe, expect, test } from "vitest";
import {
  describeKept,
  describePersisted,
  describeQuota,
  describeVerified,
  formatAgo,
  summariseKept,
  whyNotDelete,
} from "../../../demo/chat/kept.ts";
import type { StorageReport, StoredModel } from "../../../src/index.ts";

const NOW = Date.UTC(2026, 5, 1, 12);
const MINUTE_MS = 60_000;

const MODEL: StoredModel = {
  id: "a",
  url: "https://example.com/m.gguf",
  name: "M",
  bytes: 2e6,
  fileBytes: 3e6,
  records: 40,
  totalRecords: 64,
  lastUsed: NOW - 5 * MINUTE_MS,
  inUse: false,
};
const REPORT: StorageReport = {
  models: [MODEL],
  usedBytes: 3e6,
  quotaBytes: 1e9,
  persisted: false,
};

/** Text with ordinary spaces, as it is easier to write in a test. */
const plain = (text: string) => text.replaceAll("\u00a0", " ");

describe("a model that is kept", () => {
  test("is told by its bytes, its experts and its last use", () => {
    expect(plain(describeKept(MODEL, NOW))).toBe(
      "2.00 MB for a file of 3.00 MB, 40 of 64 experts, last used 5 minutes ago",
    );
    expect(plain(describeKept({ ...MODEL, records: 64, inUse: true }, NOW))).toBe(
      "2.00 MB for a file of 3.00 MB, all 64 experts, in use now",
    );
  });

  test("of a kind without experts has none to tell of", () => {
    expect(plain(describeKept({ ...MODEL, records: 0, totalRecords: 0 }, NOW))).toBe(
      "2.00 MB for a file of 3.00 MB, last used 5 minutes ago",
    );
  });

  test("cannot be deleted while it is loaded, and says so", () => {
    expect(whyNotDelete(MODEL)).toBe("");
    expect(whyNotDelete({ ...MODEL, inUse: true })).toContain("Load another model there");
  });

  test("is told to be whole or not after a check", () => {
    expect(describeVerified("M", { checked: 1, damaged: 0 })).toBe(
      "M: 1 piece checked, all whole.",
    );
    expect(describeVerified("M", { checked: 65, damaged: 2 })).toBe(
      "M: 65 pieces checked; 2 were damaged and dropped, to be fetched again when needed.",
    );
    expect(describeVerified("M", { checked: 65, damaged: 1 })).toContain("; 1 was damaged");
  });
});

describe("all that is kept", () => {
  test("is summed up", () => {
    const two = { ...REPORT, models: [MODEL, { ...MODEL, id: "b" }] };

    expect(plain(summariseKept(REPORT))).toBe("1 model, 2.00 MB");
    expect(plain(summariseKept(two))).toBe("2 models, 4.00 MB");
    expect(summariseKept({ ...REPORT, models: [] })).toBe("Nothing yet");
    expect(summariseKept(undefined)).toBe("");
  });

  test("is compared with what the browser allows, if it says", () => {
    expect(plain(describeQuota(REPORT))).toContain("3.00 MB used of the 1.00 GB");
    expect(describeQuota({ ...REPORT, quotaBytes: 0 })).toBe("");
  });

  test("stays, or not, as the browser answers", () => {
    expect(describePersisted(true)).toContain("will keep");
    expect(describePersisted(false)).toContain("did not agree");
  });
});

test.for([
  [0, "just now"],
  [-MINUTE_MS, "just now"],
  [MINUTE_MS, "1 minute ago"],
  [59 * MINUTE_MS, "59 minutes ago"],
  [60 * MINUTE_MS, "1 hour ago"],
  [25 * 60 * MINUTE_MS, "1 day ago"],
  [30 * 24 * 60 * MINUTE_MS, "30 days ago"],
  [40 * 24 * 60 * MINUTE_MS, "on April 22, 2026"],
] as const)("%d milliseconds before now are %s", ([ms, text]) => {
  expect(formatAgo(NOW - ms, NOW)).toBe(text);
});
