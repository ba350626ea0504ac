import { opfsDirectory } from "./store/opfs-files.ts";

/** A small text that outlives the page or process. */
export interface TextFile {
  /** Undefined where there is none yet. */
  read(): Promise<string | undefined>;
  write(text: string): Promise<void>;
  /** Nothing happens if there is none. */
  remove(): Promise<void>;
}

/** A file at the top of the origin private file system; for workers. Its methods throw where nothing can be kept. */
export function opfsTextFile(name: string): TextFile {
  const directory = async () => opfsDirectory(await navigator.storage.getDirectory());
  return {
    async read() {
      return (await (await directory()).snapshot(name))?.text();
    },
    async write(text) {
      const bytes = new TextEncoder().encode(text);
      const file = await (await directory()).open(name);
      try {
        file.truncate(0);
        file.write(bytes, 0);
        file.flush();
      } finally {
        file.close();
      }
    },
    async remove() {
      await (await directory()).remove(name);
    },
  };
}
