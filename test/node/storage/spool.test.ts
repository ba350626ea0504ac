import { afterEach, describe, expect, test, vi } from "vitest";
import { createBlobSpool, openSpool, type Spool } from "../../../src/storage/spool.ts";

/** A private file system in memory that behaves as a worker's: an open handle locks its file. */
class FakeDirectory {
  readonly files = new Map<string, { bytes: number[]; locked: boolean }>();
  roomBytes = Number.POSITIVE_INFINITY;

  async *keys(): AsyncGenerator<string> {
    yield* this.files.keys();
  }

  async getFileHandle(name: string): Promise<object> {
    const file = { bytes: [] as number[], locked: false };
    this.files.set(name, file);
    return { createSyncAccessHandle: async () => this.#open(file) };
  }

  async removeEntry(name: string): Promise<void> {
    if (this.files.get(name)?.locked) throw new DOMException("", "NoModificationAllowedError");
    this.files.delete(name);
  }

  #open(file: { bytes: number[]; locked: boolean }): object {
    file.locked = true;
    return {
      write: (bytes: Uint8Array, { at }: { at: number }) => {
        if (at + bytes.length > this.roomBytes) throw new DOMException("", "QuotaExceededError");
        file.bytes.splice(at, bytes.length, ...bytes);
        return bytes.length;
      },
      read(out: Uint8Array, { at }: { at: number }) {
        const part = file.bytes.slice(at, at + out.length);
        out.set(part);
        return part.length;
      },
      close() {
        file.locked = false;
      },
    };
  }
}

/** Makes this process look like a worker with a private file system. */
function stubWorker(): FakeDirectory {
  const directory = new FakeDirectory();
  class Handle {
    createSyncAccessHandle(): void {}
  }
  vi.stubGlobal("FileSystemFileHandle", Handle);
  vi.stubGlobal("navigator", { storage: { getDirectory: async () => directory } });
  return directory;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

async function openOpfs(): Promise<Spool> {
  stubWorker();
  return openSpool();
}

describe.for([
  ["blobs", async () => createBlobSpool()],
  ["opfs", openOpfs],
] as const)("a spool in %s", ([, open]) => {
  test("gives any part of what was appended, while more comes", async () => {
    const spool = await open();
    for (let chunk = 0; chunk < 10; chunk += 1) {
      await spool.append(Uint8Array.from({ length: 7 }, (_, index) => 7 * chunk + index));
      const end = 7 * (chunk + 1);
      expect([...(await spool.read(end - 3, 3))]).toEqual([end - 3, end - 2, end - 1]);
    }

    expect([...(await spool.read(0, 70))]).toEqual(Array.from({ length: 70 }, (_, index) => index));
    expect(await spool.read(70, 0)).toHaveLength(0);
    await spool.close();
  });
});

describe("a spool in opfs", () => {
  test("removes its file, and those of tabs that were killed", async () => {
    const directory = stubWorker();
    await directory.getFileHandle("sluice-stream-of-a-dead-tab");
    await directory.getFileHandle("model.gguf");
    const spool = await openSpool();
    const other = await openSpool();

    expect(directory.files.size).toBe(3);
    await spool.close();
    await other.close();
    expect([...directory.files.keys()]).toEqual(["model.gguf"]);
  });

  test("tells when there is no room", async () => {
    stubWorker().roomBytes = 10;
    const spool = await openSpool();

    await expect(spool.append(new Uint8Array(11))).rejects.toMatchObject({
      code: "out-of-memory",
      message: expect.stringMatching(/no room.*Free disk space/),
    });
  });

  test("gives way to blobs where it is refused", async () => {
    stubWorker();
    const refused = async () => {
      throw new DOMException("", "SecurityError");
    };
    vi.stubGlobal("navigator", { storage: { getDirectory: refused } });
    const spool = await openSpool();
    await spool.append(Uint8Array.of(1, 2, 3));

    expect([...(await spool.read(1, 2))]).toEqual([2, 3]);
  });
});
