import controlRead from "../../shaders/control/read.wgsl?raw";
import controlWrite from "../../shaders/control/write.wgsl?raw";
import fused from "../../shaders/numeric/fused.wgsl?raw";
import { SluiceError } from "../errors.ts";
import { type Access, type Constants, type Kernel, paramsBytes } from "./kernel.ts";
import { linkWgsl } from "./link.ts";

const FUSED_CALL = /\bfused_dot2?\(/;

const CONTROL_PARTS = { read: controlRead, read_write: controlWrite } as const;

/** A kernel made ready for one device: its pipeline, and the layouts that its bind groups are made with. */
export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layouts: KernelLayouts;
  readonly params: ParamsPlace;
}

/**
 * Layouts of groups 0, 1 and 2; kernels with the same bindings share them, and so can share bind groups. Without params
 * group 0 starts at binding 1.
 */
export interface KernelLayouts {
  readonly buffers: GPUBindGroupLayout;
  readonly weights: GPUBindGroupLayout | undefined;
  readonly control: GPUBindGroupLayout | undefined;
}

/** The WGSL module of `kernel` with `parts`, its view of the control block and the sums that any of them calls. */
export function linkKernel(kernel: Kernel, parts: readonly string[]): string {
  const control = kernel.control === "none" ? [] : [CONTROL_PARTS[kernel.control]];
  const own = [kernel.source, ...control, ...parts];
  return linkWgsl(own.some((part) => FUSED_CALL.test(part)) ? [...own, fused] : own);
}

/** What a kernel's `params` are read from: a bound buffer, or immediates, which the encoder itself carries. */
export type ParamsPlace = "uniform" | "read" | "immediate";

/** Where the params of kernels are, as a device allows. See `paramsBinding` in device.ts. */
export interface ParamsBinding {
  readonly buffer: "uniform" | "read";
  /** Whether a bind group is made once for all steps that differ in their params alone, which take an offset. */
  readonly dynamic: boolean;
  /** Params of at most so many bytes are immediates. */
  readonly immediateBytes: number;
}

const BOUND_UNIFORM: ParamsBinding = { buffer: "uniform", dynamic: false, immediateBytes: 0 };

/** The structs have the same layout in all places: they hold nothing but numbers of 4 bytes. */
const PARAMS_VARIABLES = {
  uniform: "@group(0) @binding(0) var<uniform> params:",
  read: "@group(0) @binding(0) var<storage, read> params:",
  immediate: "var<immediate> params:",
} as const satisfies Record<ParamsPlace, string>;

/** Compiles kernels once for each device; two callers that ask for the same text share one compilation. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #params: ParamsBinding;
  readonly #replaced: ReadonlyMap<string, string>;
  readonly #pipelines = new Map<string, Promise<CompiledKernel>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  /** @param replaced parts that are linked in the place of others */
  constructor(
    device: GPUDevice,
    params: ParamsBinding = BOUND_UNIFORM,
    replaced: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#device = device;
    this.#params = params;
    this.#replaced = replaced;
  }

  /** Pipelines made so far. */
  get count(): number {
    return this.#pipelines.size;
  }

  /**
   * `kernel` linked with `parts`. Throws "shader-invalid" with the compiler's `line:column` messages.
   * @param constants replaces the kernel's defaults
   */
  compile(kernel: Kernel, parts: readonly string[], constants: Constants): Promise<CompiledKernel> {
    const chosen = parts.map((part) => this.#replaced.get(part) ?? part);
    const linked = linkKernel(kernel, chosen);
    const code = linked.replace(
      PARAMS_VARIABLES.uniform,
      PARAMS_VARIABLES[this.paramsPlace(kernel)],
    );
    const key = `${JSON.stringify(constants)}\n${code}`;
    let compiled = this.#pipelines.get(key);
    if (!compiled) {
      compiled = this.#compile(kernel, code, constants);
      this.#pipelines.set(key, compiled);
    }
    return compiled;
  }

  /** The layouts of a kernel's bind groups. */
  layouts(kernel: Kernel): KernelLayouts {
    return {
      buffers: this.#buffersLayout(kernel),
      weights: kernel.weights
        ? this.#layout(new Array<Access>(Number(kernel.weights)).fill("read"))
        : undefined,
      control: kernel.control === "none" ? undefined : this.#layout([kernel.control]),
    };
  }

  /** What a kernel's params are read from on this device. */
  paramsPlace(kernel: Kernel): ParamsPlace {
    const { buffer, immediateBytes } = this.#params;
    return paramsBytes(kernel.params) <= immediateBytes ? "immediate" : buffer;
  }

  #buffersLayout(kernel: Kernel): GPUBindGroupLayout {
    const place = this.paramsPlace(kernel);
    const buffers = Object.values(kernel.buffers);
    if (place === "immediate") return this.#layout(buffers, { first: 1 });
    return this.#layout([place, ...buffers], { dynamic: this.#params.dynamic });
  }

  async #compile(kernel: Kernel, code: string, constants: Constants): Promise<CompiledKernel> {
    const layouts = this.layouts(kernel);
    const params = this.paramsPlace(kernel);
    const empty = this.#layout([]);
    const module = this.#device.createShaderModule({ label: kernel.name, code });
    try {
      const pipeline = await this.#device.createComputePipelineAsync({
        label: kernel.name,
        layout: this.#device.createPipelineLayout({
          label: kernel.name,
          bindGroupLayouts: [layouts.buffers, layouts.weights ?? empty, layouts.control ?? empty],
          ...(params === "immediate" && { immediateSize: paramsBytes(kernel.params) }),
        }),
        compute: { module, constants: { ...constants } },
      });
      return { pipeline, layouts, params };
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const lines = messages
        .filter((message) => message.type === "error")
        .map((message) => `[${message.lineNum}:${message.linePos}] ${message.message}`);
      const reason = lines.length > 0 ? lines.join("; ") : String(cause);
      throw new SluiceError(
        "shader-invalid",
        `The browser refused the shader ${kernel.name}: ${reason}. Update the browser or the graphics driver, and report this.`,
        { cause },
      );
    }
  }

  /** @param options the first binding's number, and whether it takes an offset */
  #layout(
    bindings: readonly ("uniform" | Access)[],
    { first = 0, dynamic = false }: { first?: number; dynamic?: boolean } = {},
  ): GPUBindGroupLayout {
    const key = `${first}${dynamic ? " dynamic" : ""}: ${bindings.join()}`;
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#device.createBindGroupLayout({
        label: key,
        entries: bindings.map((access, index) => ({
          binding: first + index,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: BUFFER_TYPES[access], hasDynamicOffset: dynamic && index === 0 },
        })),
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

const BUFFER_TYPES = {
  uniform: "uniform",
  read: "read-only-storage",
  read_write: "storage",
} as const;
