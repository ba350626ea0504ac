import { describe, expect, test } from "vitest";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { chatText, renderChat } from "../../../src/tokenizer/chat-template.ts";
import { g, writeGguf } from "../../helpers/gguf-writer.ts";
import { bpeVocabulary } from "../../helpers/tiny-vocab.ts";

const messages = [
  { role: "system", content: "Be short." },
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Yes?" },
  { role: "user", content: "(bye)" },
];

const parameters = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer", enum: [1, 2] } },
};

const tools = [{ type: "function", function: { name: "f", parameters } }];

/** What the templates of open models make use of; the results are those of Python's jinja2 with the settings of Hugging Face. */
const FEATURES: readonly (readonly [feature: string, template: string, result: string])[] = [
  [
    "macros with defaults that call each other",
    "{% macro line(name, text='-') %}{{ name }}: {{ text }};{% endmacro %}" +
      "{% macro both(m) %}{{ line(m.role, text=m.content) }}{{ line(m.role) }}{% endmacro %}{{ both(messages[0]) }}",
    "system: Be short.;system: -;",
  ],
  [
    "macros with a block",
    "{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}{% call wrap('t') %}in{% endcall %}",
    "<t>in</t>",
  ],
  [
    "a namespace that outlives a loop",
    "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{{ ns.last }}",
    "3",
  ],
  [
    "variables of a loop's own",
    "{% set x = 1 %}{% for m in messages %}{% set x = 2 %}{% endfor %}{{ x }}",
    "1",
  ],
  [
    "slices",
    "{% for m in messages[1:] %}{{ m.role[0] }}{% endfor %}|{% for m in messages[::-1] %}{{ m.role[:2] }}{% endfor %}|{{ messages[-1].content[1:-1] }}",
    "uau|usasussy|bye",
  ],
  [
    "a loop's variables",
    "{% for m in messages %}{{ loop.index0 }}{{ loop.index }}{% if loop.first %}f{% endif %}{% if loop.last %}l{% endif %}" +
      "{% if loop.previtem is defined and loop.previtem.role != m.role %}p{% endif %}{% if loop.nextitem is defined %}n{% endif %}{{ loop.length }} {% endfor %}",
    "01fn4 12pn4 23pn4 34lp4 ",
  ],
  [
    "loops with conditions, ends and steps",
    "{% for m in messages if m.role != 'system' %}{% if loop.index == 3 %}{% break %}{% endif %}{{ loop.index }}{% endfor %}" +
      "{% for i in range(2, 6, 2) %}{{ i }}{% endfor %}{% for k in [] %}x{% else %}none{% endfor %}",
    "1224none",
  ],
  [
    "questions about values",
    "{% if messages is iterable and messages[0] is mapping and messages[0].content is string %}a{% endif %}" +
      "{% if nothing is not defined and none is none and 3 is number and true is boolean %}b{% endif %}",
    "ab",
  ],
  [
    "JSON",
    "{{ tools[0] | tojson }}{{ tools[0].function.parameters.properties.days | tojson(indent=2) }}",
    '{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": ' +
      '{"city": {"type": "string"}, "days": {"type": "integer", "enum": [1, 2]}}}}}' +
      '{\n  "type": "integer",\n  "enum": [\n    1,\n    2\n  ]\n}',
  ],
  [
    "objects",
    "{% for k, v in tools[0].function.parameters.properties.items() %}{{ k }}={{ v.type }};{% endfor %}" +
      "{{ tools[0].get('function').name }} {{ tools[0].get('x', 'y') }}{% if 'type' in tools[0] %} in{% endif %}",
    "city=string;days=integer;f y in",
  ],
  [
    "methods of strings",
    "{{ ' a b '.strip() + '|' + 'xxa'.lstrip('x') + '|' + 'a,b'.split(',')[-1] + '|' + 'Ab'.lower() + 'Ab'.upper() + 'a-b'.replace('-', '+') ~ 1 }}" +
      "{% if 'abc'.startswith('ab') and not 'abc'.endswith('b') %}!{% endif %}",
    "a b|a|b|abABa+b1!",
  ],
  [
    "filters",
    "{{ messages | map(attribute='role') | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} " +
      "{{ messages | rejectattr('role', 'equalto', 'user') | map(attribute='content') | first }} {{ missing | default('d') }} {{ '' | default('e', true) }} {{ ' x ' | trim }} {{ [1, 2] | last }}",
    "system,user,assistant,user 2 Be short. d e x 2",
  ],
  [
    "conditions in expressions",
    "{{ 'a' if messages | length > 1 else 'b' }}{{ 'x' if not tools }}{{ (messages[0].tool_calls or []) | length }}",
    "a0",
  ],
  [
    "blocks that are set and filtered",
    "{% set text %}  <{{ messages[0].role }}>  {% endset %}{{ text | trim }}{% filter upper %}ab{% endfilter %}",
    "<system>AB",
  ],
  [
    "characters stripped from an end",
    "{{ '\\n\\n  code \\n'.strip('\\n') + '|' + 'xyxa'.lstrip('xy') + '|' + 'axx'.rstrip('x') + '|' + 'xx'.strip('x') + '|' + ' a '.strip(none) }}",
    "  code |a|a||a",
  ],
  [
    "formatted texts",
    "{{ '<{}:{}>'.format('a', 1) }}{{ '{1}{0}'.format('b', 'c') }}{{ '{{}}'.format() }}",
    "<a:1>cb{}",
  ],
  [
    "objects with a key that is a method's name",
    "{% for k, v in {'items': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}",
    "items1b2",
  ],
  ["arithmetic", "{{ 7 // 2 }} {{ 7 % 3 }} {{ 1 + 2 * 3 }} {{ '4' | int + 1 }}", "3 1 7 5"],
  [
    "marks of what the model wrote",
    "{% for m in messages if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "Yes?",
  ],
  [
    "white space cut at blocks and comments",
    "a  {#- no -#}  b\n  {% if true %}\nc\n  {% endif %}\nd",
    "ab\nc\nd",
  ],
];

describe("a template can use", () => {
  test.for(FEATURES)("%s", async ([, template, result]) => {
    const bytes = writeGguf({
      metadata: { ...bpeVocabulary(), "tokenizer.chat_template": g.string(template) },
    });
    const { metadata } = await openGguf(memorySource(bytes));

    expect(chatText(renderChat(metadata, messages, { tools }))).toBe(result);
  });
});

test.for([
  ["{{ messages.strip('x') }}", /strip\(\) is a method of strings/],
  ["{{ '{}{}'.format(1) }}", /format\(\) cannot fill \{\}/],
  ["{{ '{:d}'.format(1) }}", /format\(\) cannot fill \{:d\}/],
] as const)("what cannot be done is told: %s", async ([template, message]) => {
  const bytes = writeGguf({
    metadata: { ...bpeVocabulary(), "tokenizer.chat_template": g.string(template) },
  });
  const { metadata } = await openGguf(memorySource(bytes));

  expect(() => renderChat(metadata, messages)).toThrow(
    expect.objectContaining({ code: "unsupported-model", message: expect.stringMatching(message) }),
  );
});
