"""Writes a tiny cross-encoder with random weights and a vocabulary of letters: `python tiny_bert.py FOLDER`."""

import sys
from pathlib import Path
from string import ascii_lowercase

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

folder = Path(sys.argv[1])
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]
(folder / "vocab.txt").write_text("\n".join(words))
torch.manual_seed(7)
config = BertConfig(
    vocab_size=len(words),
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    initializer_range=0.5,  # so that texts differ in their scores
    num_labels=1,
)
BertForSequenceClassification(config).save_pretrained(folder)
BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=256).save_pretrained(folder)
