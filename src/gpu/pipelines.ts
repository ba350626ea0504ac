import controlRead from "../../shaders/control/read.wgsl?raw";
import controlWrite from "../../shaders/control/write.wgsl?raw";
import { SluiceError } from "../errors.ts";
import type { Access, Constants, Kernel } from "./kernel.ts";
import { linkWgsl } from "./link.ts";

const CONTROL_PARTS = { read: controlRead, read_write: controlWrite } as const;

/** A kernel made ready for one device: its pipeline, and the layouts that its bind groups are made with. */
export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layouts: KernelLayouts;
}

/** Layouts of groups 0, 1 and 2; kernels with the same bindings share them, and so can share bind groups. */
export interface KernelLayouts {
  readonly buffers: GPUBindGroupLayout;
  readonly weights: GPUBindGroupLayout | undefined;
  readonly control: GPUBindGroupLayout | undefined;
}

/** The WGSL module of `kernel` with `parts` and its view of the control block. */
export function linkKernel(kernel: Kernel, parts: readonly string[]): string {
  const control = kernel.control === "none" ? [] : [CONTROL_PARTS[kernel.control]];
  return linkWgsl([kernel.source, ...control, ...parts]);
}

/** Their structs have the same layout in both: they hold nothing but numbers of 4 bytes. */
function withStoredParams(code: string): string {
  return code.replace("var<uniform> params:", "var<storage, read> params:");
}

/** What kind of binding a kernel's `params` is. See `paramsBinding` in device.ts. */
export type ParamsBinding = "uniform" | "read";

/** Compiles kernels once for each device; two callers that ask for the same text share one compilation. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #params: ParamsBinding;
  readonly #pipelines = new Map<string, Promise<CompiledKernel>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  constructor(device: GPUDevice, params: ParamsBinding = "uniform") {
    this.#device = device;
    this.#params = params;
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
    const linked = linkKernel(kernel, parts);
    const code = this.#params === "uniform" ? linked : withStoredParams(linked);
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
      buffers: this.#layout([this.#params, ...Object.values(kernel.buffers)]),
      weights: kernel.weights
        ? this.#layout(new Array<Access>(Number(kernel.weights)).fill("read"))
        : undefined,
      control: kernel.control === "none" ? undefined : this.#layout([kernel.control]),
    };
  }

  async #compile(kernel: Kernel, code: string, constants: Constants): Promise<CompiledKernel> {
    const layouts = this.layouts(kernel);
    const empty = this.#layout([]);
    const module = this.#device.createShaderModule({ label: kernel.name, code });
    try {
      const pipeline = await this.#device.createComputePipelineAsync({
        label: kernel.name,
        layout: this.#device.createPipelineLayout({
          label: kernel.name,
          bindGroupLayouts: [layouts.buffers, layouts.weights ?? empty, layouts.control ?? empty],
        }),
        compute: { module, constants: { ...constants } },
      });
      return { pipeline, layouts };
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

  #layout(bindings: readonly ("uniform" | Access)[]): GPUBindGroupLayout {
    const key = bindings.join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#device.createBindGroupLayout({
        label: key,
        entries: bindings.map((access, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: BUFFER_TYPES[access] },
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
