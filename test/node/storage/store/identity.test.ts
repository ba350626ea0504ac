import { describe, expect, test } from "vitest";
import { type StoredIdentity, sameIdentity } from "../../../../src/storage/store/identity.ts";

const part = (number: number, change: Partial<StoredIdentity> = {}): StoredIdentity => ({
  url: `https://host/a-0000${number}-of-00002.gguf`,
  fileBytes: 100 * number,
  etag: `"${number}"`,
  modified: undefined,
  ...change,
});
const model = (parts: readonly StoredIdentity[]): StoredIdentity => ({
  ...{ url: part(1).url, fileBytes: 300, etag: undefined, modified: undefined },
  parts,
});
const kept = model([part(1), part(2)]);

describe("a split model that was kept", () => {
  test("is the one on the host when every part is, as far as the host tells", () => {
    expect(sameIdentity(kept, model([part(1), part(2)]))).toBe(true);
    expect(sameIdentity(kept, model([part(1, { etag: undefined }), part(2)]))).toBe(true);
  });

  test.for<[string, StoredIdentity]>([
    ["a part is another version", model([part(1), part(2, { etag: '"x"' })])],
    ["a part has another length", model([part(1), part(2, { etag: undefined, fileBytes: 199 })])],
    [
      "the parts are cut elsewhere",
      model([part(1, { fileBytes: 150 }), part(2, { fileBytes: 150 })]),
    ],
    ["it is one file now", { ...kept, parts: undefined }],
    ["it has another part", model([part(1), part(2), part(3)])],
  ])("is another when %s", ([, found]) => {
    expect(sameIdentity(kept, found)).toBe(false);
    expect(sameIdentity(found, kept)).toBe(false);
  });
});
