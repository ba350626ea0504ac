import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import softwareBytes from "../../shaders/formats/shared/bytes_software.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import softwareHalf from "../../shaders/formats/shared/half_software.wgsl?raw";

/** Shader parts that are linked in the place of others on adapters that run on a processor: the same results, sooner. */
export const softwareParts: ReadonlyMap<string, string> = new Map([
  [bytes, softwareBytes],
  [half, softwareHalf],
]);
