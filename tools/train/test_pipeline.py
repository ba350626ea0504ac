"""Tests of the pipeline: ``python -m unittest discover tools/train``."""

from __future__ import annotations

import random
import re
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import torch
from gguf import GGMLQuantizationType as Type

from bpe import SPECIALS, train_tokenizer
from config import SMOKE
from data import IGNORED, batches, documents, encode, group, wanted
from export import export
from grammar import article, expand
from loading import load
from model import Experts, Model, rotate, rope_table
from stories import held_out, tell

CONFIG = SMOKE.model


def dense_experts(experts: Experts, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """Every expert on every token, weighted afterwards."""
    _, chosen, weights = experts.route(residual)
    full = torch.zeros(len(x), experts.config.experts).scatter(1, chosen, weights)
    hidden = torch.einsum("td,efd->tef", x, experts.gate).relu() * torch.einsum("td,efd->tef", x, experts.up)
    return torch.einsum("tef,edf,te->td", hidden, experts.down, full)


class TextTest(unittest.TestCase):
    """The generated text."""

    def test_alternatives_nest(self) -> None:
        made = {expand(random.Random(i), "[a|b[c|d]] {x}", {"x": "y"}) for i in range(50)}
        self.assertEqual(made, {"a y", "bc y", "bd y"})

    def test_articles(self) -> None:
        self.assertEqual([article(w) for w in ("owl", "fox", "unicorn")], ["an owl", "a fox", "a unicorn"])

    def test_no_template_marks_are_left(self) -> None:
        for text in documents(1, 0, 500):
            body = text.replace("<|im_start|>", "").replace("<|im_end|>", "")
            self.assertIsNone(re.search(r"[{}\[\]|]|  | \.", body), body)

    def test_the_split_is_kept(self) -> None:
        rng = random.Random(3)
        for evaluation in (False, True):
            for _ in range(200):
                story = tell(rng, evaluation)
                self.assertEqual(held_out(story.hero.kind, story.thing), evaluation)

    def test_documents_follow_from_the_seed(self) -> None:
        self.assertEqual(documents(1, 2, 5), documents(1, 2, 5))
        self.assertNotEqual(documents(1, 2, 5), documents(1, 3, 5))


class DataTest(unittest.TestCase):
    """Tokens and rows."""

    def test_grouping_keeps_every_document(self) -> None:
        texts = [text.replace("<|im_start|>", "").replace("<|im_end|>", "") for text in documents(1, 0, 60)]
        tokenizer = train_tokenizer(texts, 600)
        groups = group(tokenizer, texts, 2048, 2000, random.Random(1))
        self.assertEqual(sum(b.known() for b in groups), sum(len(ids) - 1 for ids in encode(tokenizer, texts)))
        self.assertTrue(all(b.inputs.numel() <= 2048 or len(b.inputs) == 1 for b in groups))

    def test_only_the_assistant_is_predicted(self) -> None:
        self.assertEqual(wanted([1, 7, 8, 2, 5, 1, 9, 6, 2, 5, 0], 9), [IGNORED] * 4 + [5, 1, 9, 6, 2, 5, 0])

    def test_tokens_round_trip_and_batches_resume(self) -> None:
        tokenizer = train_tokenizer(documents(1, 0, 200), 600)
        self.assertEqual([tokenizer.token_to_id(t) for t in SPECIALS], [0, 1, 2])
        for text in ("naïve café 😀\n\n x", "Once upon a time"):
            self.assertEqual(tokenizer.decode(tokenizer.encode(text).ids), text)
        self.assertEqual(encode(tokenizer, [""])[0], [0])
        stream = batches(tokenizer, 1, 1024, 256)
        first, second = next(stream), next(stream)
        again = next(batches(tokenizer, 1, 1024, 256, first[1]))
        self.assertTrue(torch.equal(second[0].inputs, again[0].inputs))


class ModelTest(unittest.TestCase):
    """The model and its optimizer."""

    def test_sorted_experts_equal_dense_experts(self) -> None:
        torch.manual_seed(1)
        experts = Model(CONFIG).layers[0].experts
        x, residual = torch.randn(40, CONFIG.hidden), torch.randn(40, CONFIG.hidden)
        out, balance, counts = experts(x, residual)
        torch.testing.assert_close(out, dense_experts(experts, x, residual), rtol=1e-4, atol=1e-5)
        self.assertEqual(int(counts.sum()), 40 * CONFIG.experts_used)
        self.assertGreater(balance.item(), 0.5)

    def test_routing_ignores_attention(self) -> None:
        torch.manual_seed(1)
        layer = Model(CONFIG).layers[0]
        h = torch.randn(1, 6, CONFIG.hidden)
        before = layer.experts.route(h.flatten(0, 1))[1]
        counts = layer(h, *rope_table(CONFIG, 6))[3]
        self.assertTrue(torch.equal(counts, torch.bincount(before.flatten(), minlength=CONFIG.experts)))

    def test_rotation_keeps_lengths_and_the_first_place(self) -> None:
        x = torch.randn(1, 1, 5, CONFIG.head_dim)
        y = rotate(x, *rope_table(CONFIG, 5))
        torch.testing.assert_close(y.norm(dim=-1), x.norm(dim=-1))
        torch.testing.assert_close(y[..., 0, :], x[..., 0, :])


class FileTest(unittest.TestCase):
    """The GGUF file."""

    def test_f32_file_gives_the_same_logits(self) -> None:
        torch.manual_seed(1)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tokenizer = train_tokenizer(documents(1, 0, 200), 600)
            tokenizer.save(str(folder / "tokenizer.json"))
            preset = replace(SMOKE, model=replace(CONFIG, vocab_size=tokenizer.get_vocab_size()))
            model = Model(preset.model)
            torch.save({"preset": preset.as_dict(), "model": model.state_dict()}, folder / "checkpoint.pt")
            export(folder / "checkpoint.pt", folder / "m.gguf", Type.F32, Type.F32)
            loaded, tokens = load(folder / "m.gguf")
            text = documents(1, 1, 3)[0]
            ids = tokenizer.encode(text).ids
            self.assertEqual(tokens.encode(text).ids, ids)
            with torch.no_grad():
                torch.testing.assert_close(loaded(torch.tensor([ids]))[0], model(torch.tensor([ids]))[0])


if __name__ == "__main__":
    unittest.main()
