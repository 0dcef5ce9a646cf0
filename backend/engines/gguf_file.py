"""Writes a Llama-shaped model as a GGUF file in 8 bits: the form in which OpenVINO GenAI takes a model in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replybench.errors import ConfigError

#: Weights are quantised in groups of so many along a row, each with a 16-bit scale (Q8_0).
GROUP = 32
_ARCHITECTURES = frozenset({"LlamaForCausalLM", "MistralForCausalLM"})


def why_not(config: Any) -> str | None:
    """Return why a model with this configuration cannot be written, as the end of a sentence; None if it can."""
    architecture = (getattr(config, "architectures", None) or ["?"])[0]
    if architecture not in _ARCHITECTURES:
        return f"it is a {architecture}, and only {' and '.join(sorted(_ARCHITECTURES))} are known to it"
    if getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False):
        return "its layers have biases"
    if (config.rope_parameters or {}).get("rope_type", "default") != "default":
        return "it stretches its positions (rope scaling)"
    if getattr(config, "sliding_window", None):
        return "it attends through a sliding window"
    if config.hidden_act != "silu":
        return f"its activation is {config.hidden_act}"
    if config.hidden_size % GROUP or config.intermediate_size % GROUP:
        return f"its sizes are no multiples of {GROUP}"
    return None


def write_gguf(model: Any, path: Path) -> None:
    """Write `model` (transformers, float32, adapters merged) to `path`.

    The file's vocabulary is a placeholder: prompts come as token ids, made by the model's own tokenizer.
    """
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(_head_size(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([f"<{index}>" for index in range(config.vocab_size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocab_size)
    writer.add_token_merges(["< 0"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, values, kind in _tensors(model):
        writer.add_tensor(name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(model: Any) -> Iterator[tuple[str, NDArray[Any], Any]]:
    """Yield (GGUF's name, values, type): matrices in 8 bits, norms in float32."""
    import gguf

    config = model.config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue  # it is the embedding
        theirs = names.get_name(name, try_suffixes=(".weight",))
        if theirs is None:
            raise ConfigError(f"The fast engine does not know the weights '{name}'. Set engine = \"transformers\".")
        values = tensor.float().numpy()
        if values.ndim == 1:
            yield theirs, values, gguf.GGMLQuantizationType.F32
            continue
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            is_query = name.endswith("q_proj.weight")
            values = _interleaved(values, config.num_attention_heads if is_query else config.num_key_value_heads)
        kind = gguf.GGMLQuantizationType.Q8_0
        yield theirs, gguf.quants.quantize(np.ascontiguousarray(values), kind), kind


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _interleaved(weights: NDArray[Any], heads: int) -> NDArray[Any]:
    """Return (out, in) weights with each head's rows in GGUF's order: a rotation's two halves lie side by side."""
    rows, columns = weights.shape
    return weights.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
