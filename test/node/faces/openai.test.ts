import { describe, expect, test } from "vitest";
import type { ChatCompletionChunk, ChatCompletionRequest } from "../../../src/index.ts";
import { connectFake } from "../rpc/connect-fake.ts";
import { createFakeEngine } from "../rpc/fake-engine.ts";

const messages = [{ role: "user", content: "Tell me a story." }] as const;

async function collect(stream: AsyncIterable<ChatCompletionChunk>): Promise<ChatCompletionChunk[]> {
  const chunks: ChatCompletionChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

describe("whole answers", () => {
  test("have OpenAI's shape", async () => {
    const engine = await connectFake(createFakeEngine());
    await engine.load("https://example.com/model.gguf");

    const completion = await engine.chat.completions.create({ messages, max_tokens: 2 });

    expect(completion).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion",
      created: expect.closeTo(Date.now() / 1000, -1),
      model: "fake",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Once upon", refusal: null },
          logprobs: null,
          finish_reason: "length",
        },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    });
  });

  test("hold log-probabilities when asked for", async () => {
    const engine = await connectFake(createFakeEngine());

    const completion = await engine.chat.completions.create({
      messages,
      logprobs: true,
      top_logprobs: 1,
      max_tokens: 1,
    });

    const entry = { id: 0, token: "Once", logprob: -0.5, bytes: [79, 110, 99, 101] };
    expect(completion.choices[0].logprobs).toEqual({
      content: [{ ...entry, top_logprobs: [entry] }],
      refusal: null,
    });
  });

  test("reject with aborted when the signal fires", async () => {
    const engine = await connectFake(createFakeEngine());

    const answer = engine.chat.completions.create({ messages }, { signal: AbortSignal.abort() });

    await expect(answer).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("streams", () => {
  test("are a role, the pieces, a finish reason and the usage", async () => {
    const engine = await connectFake(createFakeEngine(["Hi", "", "!"]));

    const chunks = await collect(
      await engine.chat.completions.create({
        messages,
        stream: true,
        stream_options: { include_usage: true },
      }),
    );

    expect(chunks.map((chunk) => chunk.choices[0]?.delta)).toEqual([
      { role: "assistant", content: "" },
      { content: "Hi" },
      { content: "!" },
      {},
      undefined,
    ]);
    const reasons = chunks.map((chunk) => chunk.choices[0]?.finish_reason);
    expect(reasons).toEqual([null, null, null, "stop", undefined]);
    expect(chunks.at(-1)?.usage).toEqual({
      prompt_tokens: 3,
      completion_tokens: 3,
      total_tokens: 6,
    });
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1);
  });

  test("stop when the loop is left", async () => {
    const fake = createFakeEngine();
    const engine = await connectFake(fake);

    const stream = await engine.chat.completions.create({ messages, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    const again = await engine.chat.completions.create({ messages });

    expect(fake.computed).toBe(1 + 4);
    expect(again.choices[0].message.content).toBe("Once upon a time");
  });

  test("end without a finish reason when the signal fires", async () => {
    const engine = await connectFake(createFakeEngine());
    const controller = new AbortController();

    const reasons: unknown[] = [];
    const stream = await engine.chat.completions.create(
      { messages, stream: true },
      { signal: controller.signal },
    );
    for await (const chunk of stream) {
      reasons.push(chunk.choices[0]?.finish_reason);
      controller.abort();
    }

    expect(reasons).toEqual([null]);
  });
});

describe("requests", () => {
  test("become the engine's options", async () => {
    const fake = createFakeEngine();
    let given: unknown[] = [];
    const engine = await connectFake({
      ...fake,
      generate(prompt, options, signal) {
        given = [prompt, options];
        return fake.generate(prompt, options, signal);
      },
    });

    await engine.chat.completions.create({
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "Hel" },
            { type: "text", text: "lo" },
          ],
        },
      ],
      top_p: 0.9,
      seed: 7,
      stop: "END",
      max_completion_tokens: 3,
    });

    expect(given).toEqual([
      {
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hello" },
        ],
      },
      { temperature: 1, topP: 0.9, seed: 7, stop: ["END"], maxTokens: 3 },
    ]);
  });

  test.for<[string, object]>([
    ["messages", { messages: [] }],
    ["messages", { messages: "Hello" }],
    ["messages[0].role", { messages: [{ role: "robot", content: "x" }] }],
    ["messages[0].content", { messages: [{ role: "user", content: 5 }] }],
    ["messages[0].content", { messages: [{ role: "user", content: [{ type: "image_url" }] }] }],
    ["temperature", { messages, temperature: 2.5 }],
    ["temperature", { messages, temperature: Number.NaN }],
    ["top_p", { messages, top_p: -0.1 }],
    ["max_tokens", { messages, max_tokens: 0 }],
    ["max_tokens", { messages, max_tokens: 1.5 }],
    ["seed", { messages, seed: 0.5 }],
    ["stop", { messages, stop: [""] }],
    ["stop", { messages, stop: 3 }],
    ["top_logprobs", { messages, top_logprobs: 3 }],
    ["top_logprobs", { messages, logprobs: true, top_logprobs: 21 }],
    ["n", { messages, n: 2 }],
    ["tools", { messages, tools: [] }],
    ["frequency_penalty", { messages, frequency_penalty: 0.5 }],
    ["max_token", { messages, max_token: 5 }],
  ])("are refused for a bad %s: %o", async ([name, request]) => {
    const engine = await connectFake(createFakeEngine());

    const answer = engine.chat.completions.create(request as ChatCompletionRequest);

    await expect(answer).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringContaining(name),
    });
  });
});
