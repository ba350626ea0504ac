/** How a field of a kernel's `Params` is written into its uniform. */
export type ParamType = "u32" | "i32" | "f32";

/** How a kernel may touch a storage buffer. */
export type Access = "read" | "read_write";

/** Values for a kernel's `Params`. */
export type ParamValues<Params extends Record<string, ParamType>> = {
  readonly [name in keyof Params]: number;
};

/** Workgroups to dispatch in x, y and z. */
export type Grid = readonly [number, number, number];

/** Numbers that specialise a shader when its pipeline is made: WGSL `override`s. */
export type Constants = Readonly<Record<string, number>>;

/**
 * What a kernel is: its WGSL and everything that the host must know to bind and dispatch it.
 *
 * Group 0 holds the uniform `params` at binding 0 and `buffers` from binding 1 on, in order. Group 1 holds the words of
 * weight tensors, or of a KV cache, read by the formats' parts. Group 2 holds the pass's control block (`shaders/control`).
 */
export interface Kernel<
  Params extends Record<string, ParamType> = Record<string, ParamType>,
  Buffers extends Record<string, Access> = Record<string, Access>,
> {
  readonly name: string;
  readonly source: string;
  readonly params: Params;
  readonly buffers: Buffers;
  /** How many buffers of weights group 1 has, each read by a format's part; `true` is one. */
  readonly weights: boolean | number;
  /** Which view of the control block is linked as group 2. */
  readonly control: "none" | Access;
  readonly constants: Constants;
  /** A feature that the device must have; undefined for a kernel that every device can run. */
  readonly needs?: GPUFeatureName;
  /** Workgroups for a pass of `tokens` tokens. */
  grid(params: ParamValues<Params>, constants: Constants, tokens: number): Grid;
  /** What a dispatch does at least: its floor, which measured times are compared with. */
  work?(params: ParamValues<Params>, constants: Constants, pass: PassShape): KernelWork;
}

/** What the work of a dispatch depends on besides its params. */
export interface PassShape {
  readonly tokens: number;
  /** Of the first token: how many are in the KV caches before it. */
  readonly position: number;
}

/**
 * The least that a dispatch reads, writes and computes: each number once, however often the kernel takes it. Experts that
 * tokens of a pass share count once, too, and all experts of a pass as different ones.
 */
export interface KernelWork {
  /** Numbers of 4 bytes that are read or written, but for weights and what is cached. */
  readonly words: number;
  readonly multiplyAdds: number;
  /** Weights that are read, by the name of the function that loads them: `load_weights`. */
  readonly weights?: Readonly<Record<string, number>>;
  /** Numbers of a KV cache that are read, or written packed, in the cache's format. */
  readonly cached?: number;
}

/** Declares a kernel; the types of `params` and `buffers` carry over to what it is called with. */
export function defineKernel<
  const Params extends Record<string, ParamType>,
  const Buffers extends Record<string, Access>,
>(kernel: Kernel<Params, Buffers>): Kernel<Params, Buffers> {
  return kernel;
}

/** WebGPU's limit for one dimension of a grid. */
const MAX_GROUPS = 65_535;

/** `groups` workgroups over x and y, so that neither passes the limit: `index = group.y * grid.x + group.x`. */
export function foldGrid(groups: number, depth = 1): Grid {
  if (groups <= MAX_GROUPS) return [groups, 1, depth];
  const height = Math.ceil(groups / MAX_GROUPS);
  return [Math.ceil(groups / height), height, depth];
}

/** How long `struct Params` is: 4 bytes a field, padded to 16. */
export function paramsBytes(types: Record<string, ParamType>): number {
  return Math.max(16, Math.ceil(Object.keys(types).length / 4) * 16);
}

/** The bytes of `struct Params`. */
export function encodeParams<Params extends Record<string, ParamType>>(
  types: Params,
  values: ParamValues<Params>,
): ArrayBuffer {
  const names = Object.keys(types);
  const bytes = new ArrayBuffer(paramsBytes(types));
  const view = new DataView(bytes);
  for (const [index, name] of names.entries()) {
    const value = values[name];
    if (value === undefined) throw new Error(`unreachable: param ${name} has no value`);
    if (types[name] === "f32") view.setFloat32(4 * index, value, true);
    else if (types[name] === "i32") view.setInt32(4 * index, value, true);
    else view.setUint32(4 * index, value, true);
  }
  return bytes;
}
