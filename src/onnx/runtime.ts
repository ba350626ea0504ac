import type { InferenceSession, Tensor } from "onnxruntime-web/wasm";
import { SluiceError } from "../errors.ts";
import { type ElementType, Graph, Names } from "./graph.ts";
import { WEIGHTS_FILE, type WrittenModel, writeModel } from "./proto.ts";

type OnnxModule = typeof import("onnxruntime-web/wasm");

/** Where onnxruntime-web's files lie. */
export interface OnnxOptions {
  /** A folder's URL, with its slash: `ort-wasm-simd-threaded.mjs` and `.wasm` are in it. Default: beside the package. */
  readonly folder?: string | undefined;
}

/** Numbers, with the lengths of their axes. */
export interface HostTensor {
  readonly type: ElementType;
  readonly data: ArrayBufferView;
  readonly dims: readonly number[];
}

/** How a graph is made ready to run. */
export interface CompileOptions {
  /**
   * Whether what depends on nothing but what the graph holds is computed once, and kept: quantised weights are expanded
   * then, which is faster and takes more memory.
   */
  readonly folds: boolean;
}

/** onnxruntime-web's WebAssembly, loaded. There is one in a thread; it stays. */
export class OnnxRuntime {
  readonly #ort: OnnxModule;

  private constructor(ort: OnnxModule) {
    this.#ort = ort;
  }

  /** Loads it, files and all. Throws "missing-feature" where that fails. The options count the first time alone. */
  static async load({ folder }: OnnxOptions = {}): Promise<OnnxRuntime> {
    try {
      const ort = await import("onnxruntime-web/wasm");
      if (folder !== undefined) ort.env.wasm.wasmPaths = folder;
      // Its own threads spin between products, and gain little with such as are small: see `src/engine/onnx/experts`.
      ort.env.wasm.numThreads = 1;
      ort.env.logLevel = "error";
      const runtime = new OnnxRuntime(ort);
      // Only a first graph makes it fetch its files, which may be missing.
      const graph = await runtime.compile(smallestGraph(), { folds: false });
      await graph.dispose();
      return runtime;
    } catch (cause) {
      if (!(cause instanceof SluiceError)) throw notLoaded(cause);
      throw cause.code === "out-of-memory" ? cause : notLoaded(cause.cause);
    }
  }

  get version(): string {
    return this.#ort.env.versions.web ?? this.#ort.env.versions.common;
  }

  /** Makes a graph ready to run; the caller disposes of it. Throws "out-of-memory", "gpu-error". */
  compile(graph: Graph, options: CompileOptions): Promise<CompiledGraph> {
    return this.open(writeModel(graph), options);
  }

  /** As `compile`, of a graph that has been written. */
  async open({ model, weights }: WrittenModel, { folds }: CompileOptions): Promise<CompiledGraph> {
    let session: InferenceSession;
    try {
      session = await this.#ort.InferenceSession.create(model, {
        executionProviders: ["wasm"],
        graphOptimizationLevel: "all",
        ...(weights && { externalData: [{ path: WEIGHTS_FILE, data: weights }] }),
        extra: {
          // Its product of weights that stay packed (MatMulNBits) unpacks them in scalar code.
          session: { disable_quant_qdq: "1" },
          ...(!folds && { optimization: { disable_specified_optimizers: "ConstantFolding" } }),
        },
      });
    } catch (cause) {
      throw failure(cause);
    }
    return new CompiledGraph(this.#ort, session);
  }
}

/** A tensor that graphs are given again and again: a view on memory of its maker's, which is read at each run. */
export type HeldTensor = Tensor;

/** A graph that is ready to run. Owned by its maker. */
export class CompiledGraph {
  readonly #ort: OnnxModule;
  readonly #session: InferenceSession;

  constructor(ort: OnnxModule, session: InferenceSession) {
    this.#ort = ort;
    this.#session = session;
  }

  /** Runs it, which holds the thread. Outputs by name; throws "out-of-memory", "gpu-error". */
  async run(
    inputs: Iterable<readonly [string, HostTensor]>,
    held: Iterable<readonly [string, HeldTensor]> = [],
  ): Promise<Map<string, HostTensor>> {
    const feeds: Record<string, Tensor> = {};
    for (const [name, tensor] of inputs) feeds[name] = this.hold(tensor);
    for (const [name, tensor] of held) feeds[name] = tensor;
    let results: InferenceSession.OnnxValueMapType;
    try {
      results = await this.#session.run(feeds);
    } catch (cause) {
      throw failure(cause);
    }
    return new Map(
      Object.entries(results).map(([name, { type, data, dims }]) => [
        name,
        { type: type as ElementType, data: data as ArrayBufferView, dims },
      ]),
    );
  }

  hold({ type, data, dims }: HostTensor): HeldTensor {
    return new this.#ort.Tensor(type, data as Tensor.DataTypeMap[typeof type], dims);
  }

  async dispose(): Promise<void> {
    await this.#session.release();
  }
}

function smallestGraph(): Graph {
  const graph = new Graph(new Names());
  const input = { name: graph.newName(), type: "float32", dims: [1] } as const;
  graph.inputs.push(input);
  graph.outputs.push({ ...input, name: graph.node("Identity", [input.name]) });
  return graph;
}

function notLoaded(cause: unknown): SluiceError {
  return new SluiceError(
    "missing-feature",
    `onnxruntime-web could not be loaded (${textOf(cause)}). Serve its files ort-wasm-simd-threaded.mjs and .wasm beside the page's own, or say with onnxFolder where they are, and load the page again.`,
    { cause },
  );
}

/** What onnxruntime says where its memory ends. */
const OUT_OF_MEMORY =
  /bad_alloc|out of memory|failed to allocate|memory access out of bounds|Aborted\(\)/i;

function failure(cause: unknown): SluiceError {
  const text = textOf(cause);
  if (OUT_OF_MEMORY.test(text)) {
    return new SluiceError(
      "out-of-memory",
      `onnxruntime-web has no memory left (${text}). Give a smaller budget or context, or use a smaller model.`,
      { cause },
    );
  }
  return new SluiceError(
    "gpu-error",
    `onnxruntime-web cannot compute this model (${text}). Try the runtime "webgpu", or another model.`,
    { cause },
  );
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
