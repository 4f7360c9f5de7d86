"""A BERT cross-encoder of 160 KB in llama.cpp's file format: random weights from a fixed seed, a letter a token."""

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType, PoolingType, TokenType

WIDTH, HEADS, LAYERS, FORWARD, CONTEXT = 32, 4, 2, 64, 512
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(33, 127) if not chr(code).isupper()]


def write_cross_encoder(path: Path) -> Path:
    """Write the model and return its path."""
    # llama.cpp's WordPiece marks the first piece of a word with U+2581, where BERT marks the others with ##.
    tokens = [*SPECIAL, *(f"\u2581{letter}" for letter in LETTERS), *LETTERS]
    writer = GGUFWriter(path, "bert")
    writer.add_file_type(LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FORWARD)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.RANK)
    writer.add_tokenizer_model("bert")
    writer.add_token_type_count(2)
    writer.add_token_list(tokens)
    kinds = [TokenType.CONTROL] * len(SPECIAL) + [TokenType.NORMAL] * (len(tokens) - len(SPECIAL))
    writer.add_token_types([int(kind) for kind in kinds])
    for name, token in (("pad", 0), ("unk", 1), ("bos", 2), ("sep", 3), ("eos", 3), ("mask", 4)):
        getattr(writer, f"add_{name}_token_id")(token)
    for name, tensor in _weights(len(tokens)).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _weights(vocabulary: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)

    def matrix(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}.weight": np.ones(WIDTH, np.float32), f"{name}.bias": np.zeros(WIDTH, np.float32)}

    def linear(name: str, outputs: int, inputs: int) -> dict[str, np.ndarray]:
        return {f"{name}.weight": matrix(outputs, inputs), f"{name}.bias": np.zeros(outputs, np.float32)}

    weights = {
        "token_embd.weight": matrix(vocabulary, WIDTH),
        "position_embd.weight": matrix(CONTEXT, WIDTH),
        "token_types.weight": matrix(2, WIDTH),
        **norm("token_embd_norm"),
        **linear("cls", WIDTH, WIDTH),
        **linear("cls.output", 1, WIDTH),
    }
    for layer in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights |= linear(f"blk.{layer}.{part}", WIDTH, WIDTH)
        weights |= linear(f"blk.{layer}.ffn_up", FORWARD, WIDTH) | linear(f"blk.{layer}.ffn_down", WIDTH, FORWARD)
        weights |= norm(f"blk.{layer}.attn_output_norm") | norm(f"blk.{layer}.layer_output_norm")
    return weights
