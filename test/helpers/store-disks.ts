import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Random } from "../../src/numeric/random.ts";
import {
  NoRoom,
  type StoreDirectory,
  type StoreFile,
} from "../../src/storage/store/store-files.ts";

/** Thrown by every call once the tab that made it is dead. */
export class Killed extends Error {}

/** What a disk does to its user. */
export interface DiskBehaviour {
  /** The tab dies once this many bytes were written; opening, cutting, flushing and removing count as one byte. */
  killAfter?: number;
  /** Called at that moment. */
  onKill?: () => void;
  /** The most bytes that all files may take. */
  roomBytes?: number;
}

const SECTOR_BYTES = 64;

interface MemoryFile {
  bytes: Uint8Array;
  /** As of the last flush. */
  durable: Uint8Array;
  /** Since the last flush, in order. */
  unflushed: ({ at: number; bytes: Uint8Array } | { length: number })[];
  open: boolean;
}

/** Files in memory that know what of them would survive a loss of power. */
export class MemoryDisk {
  readonly files = new Map<string, MemoryFile>();

  get bytes(): number {
    return [...this.files.values()].reduce((sum, file) => sum + file.bytes.length, 0);
  }

  /** The directory as one tab sees it. */
  directory(behaviour: DiskBehaviour = {}): StoreDirectory {
    const act = killer(behaviour);
    return {
      names: async () => [...this.files.keys()],
      open: async (name) => {
        act();
        const file = this.files.get(name) ?? emptyFile();
        if (file.open) throw new Error(`${name} is open already`);
        file.open = true;
        this.files.set(name, file);
        return this.#open(file, behaviour, act);
      },
      snapshot: async (name) => {
        const file = this.files.get(name);
        return file && new Blob([file.bytes.slice()]);
      },
      remove: async (name) => {
        act();
        if (this.files.get(name)?.open) throw new Error(`${name} is open`);
        this.files.delete(name);
      },
    };
  }

  /** What another tab finds once the one that had the files open is gone. */
  afterKill(): MemoryDisk {
    for (const file of this.files.values()) file.open = false;
    return this;
  }

  /** What is found after a loss of power: of what was not flushed, any part. */
  afterPowerLoss(random: Random): MemoryDisk {
    for (const file of this.files.values()) {
      let bytes = file.durable;
      for (const change of file.unflushed) {
        if ("length" in change) {
          if (random.integer(2) === 0) bytes = resized(bytes, change.length);
          continue;
        }
        for (let start = 0; start < change.bytes.length; start += SECTOR_BYTES) {
          if (random.integer(2) === 0) continue;
          const sector = change.bytes.subarray(start, start + SECTOR_BYTES);
          bytes = written(bytes, sector, change.at + start);
        }
      }
      Object.assign(file, { bytes, durable: bytes, unflushed: [], open: false });
    }
    return this;
  }

  /** Inverts one bit of one file. */
  flipBit(random: Random): void {
    const files = [...this.files.values()].filter((file) => file.bytes.length > 0);
    const file = files[random.integer(Math.max(1, files.length))];
    if (!file) return;
    file.bytes = file.bytes.slice();
    file.bytes[random.integer(file.bytes.length)]! ^= 1 << random.integer(8);
  }

  #open(file: MemoryFile, behaviour: DiskBehaviour, act: (bytes?: number) => number): StoreFile {
    return {
      length: () => file.bytes.length,
      read(into, at) {
        const part = file.bytes.subarray(at, at + into.length);
        into.set(part);
        return part.length === into.length;
      },
      write: (bytes, at) => {
        const others = this.bytes - file.bytes.length;
        const room = (behaviour.roomBytes ?? Number.POSITIVE_INFINITY) - others - at;
        const fits = at + bytes.length <= file.bytes.length ? bytes.length : Math.max(0, room);
        const part = bytes.slice(0, Math.min(bytes.length, fits));
        const lived = act(part.length);
        file.bytes = written(file.bytes, part.subarray(0, lived), at);
        file.unflushed.push({ at, bytes: part.subarray(0, lived) });
        if (lived < part.length) throw new Killed();
        if (part.length < bytes.length) throw new NoRoom();
      },
      truncate(length) {
        act();
        file.bytes = resized(file.bytes, length);
        file.unflushed.push({ length });
      },
      flush() {
        act();
        file.durable = file.bytes.slice();
        file.unflushed = [];
      },
      close() {
        file.open = false;
      },
    };
  }
}

/** A folder of the local disk as a directory, for tabs that die. */
export function folderDirectory(folder: string, behaviour: DiskBehaviour = {}): StoreDirectory {
  const act = killer(behaviour);
  return {
    names: async () => readdirSync(folder),
    async open(name) {
      act();
      const path = join(folder, name);
      const handle = openSync(path, existsSync(path) ? "r+" : "w+");
      return {
        length: () => fstatSync(handle).size,
        read: (into, at) => readSync(handle, into, 0, into.length, at) === into.length,
        write(bytes, at) {
          const lived = act(bytes.length);
          writeSync(handle, bytes, 0, lived, at);
          if (lived < bytes.length) throw new Killed();
        },
        truncate(length) {
          act();
          ftruncateSync(handle, length);
        },
        flush() {
          act();
          fsyncSync(handle);
        },
        close: () => closeSync(handle),
      };
    },
    async snapshot(name) {
      const path = join(folder, name);
      return existsSync(path) ? new Blob([readFileSync(path)]) : undefined;
    },
    async remove(name) {
      act();
      rmSync(join(folder, name), { force: true });
    },
  };
}

/** Counts what a tab writes; gives how many of the bytes it lives to write, and throws when it is dead. */
function killer(behaviour: DiskBehaviour): (bytes?: number) => number {
  let left = behaviour.killAfter ?? Number.POSITIVE_INFINITY;
  return (bytes = 0) => {
    if (left <= 0) throw new Killed();
    const lived = Math.min(bytes, left);
    left -= Math.max(1, bytes);
    if (left <= 0) behaviour.onKill?.();
    return lived;
  };
}

function emptyFile(): MemoryFile {
  return { bytes: new Uint8Array(0), durable: new Uint8Array(0), unflushed: [], open: false };
}

function written(file: Uint8Array, bytes: Uint8Array, at: number): Uint8Array {
  const result = resized(file, Math.max(file.length, at + bytes.length));
  result.set(bytes, at);
  return result;
}

function resized(file: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(length);
  result.set(file.subarray(0, length));
  return result;
}
