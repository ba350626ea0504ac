import { openGguf } from "../../src/gguf/gguf.ts";
import { memorySource } from "../../src/storage/memory-source.ts";

/**
 * A copy of a GGUF whose F32 tensors hold other values.
 *
 * @param values of the tensor `name` `[…shape]`, in the place of those that are there; undefined leaves them
 */
export async function rewritten(
  bytes: Uint8Array,
  values: (
    name: string,
    shape: readonly number[],
    old: (name: string) => Float32Array,
  ) => ArrayLike<number> | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { tensors } = await openGguf(memorySource(bytes));
  const copy = new Uint8Array(bytes);
  const old = (name: string) => {
    const { byteOffset, bytes: length } = tensors.get(name)!;
    return new Float32Array(bytes.slice(byteOffset, byteOffset + length).buffer);
  };
  for (const { name, shape, byteOffset, ggmlType } of tensors.values()) {
    const wanted = values(name, shape, old);
    if (!wanted) continue;
    if (ggmlType !== 0) throw new Error(`${name} is not F32`);
    copy.set(new Uint8Array(Float32Array.from(wanted).buffer), byteOffset);
  }
  return copy;
}
