"""Minimal config.json of published models: the keys that decide memory, length and use, with their published values."""

LLAMA_31_8B = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072,
    "vocab_size": 128256, "torch_dtype": "bfloat16",
    "rope_scaling": {"factor": 8.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
}  # fmt: skip
QWEN_25_7B = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944,
    "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 32768,
    "max_window_layers": 28, "sliding_window": 131072, "use_sliding_window": False, "vocab_size": 152064,
    "torch_dtype": "bfloat16",
}  # fmt: skip
QWEN_25_YARN = {
    **QWEN_25_7B,
    "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
}
QWEN_3_30B_A3B = {
    "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "head_dim": 128, "hidden_size": 2048,
    "intermediate_size": 6144, "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4,
    "num_experts": 128, "num_experts_per_tok": 8, "max_position_embeddings": 40960, "vocab_size": 151936,
    "sliding_window": None, "use_sliding_window": False, "max_window_layers": 48, "torch_dtype": "bfloat16",
}  # fmt: skip
GEMMA_3_12B = {
    "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "torch_dtype": "bfloat16",
    "text_config": {
        "model_type": "gemma3_text", "head_dim": 256, "hidden_size": 3840, "intermediate_size": 15360,
        "num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 8, "sliding_window": 1024,
        "sliding_window_pattern": 6, "max_position_embeddings": 131072, "vocab_size": 262208,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
    },
    "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 896},
}  # fmt: skip
GEMMA_2_9B = {
    "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "head_dim": 256, "hidden_size": 3584,
    "num_hidden_layers": 42, "num_attention_heads": 16, "num_key_value_heads": 8, "sliding_window": 4096,
    "max_position_embeddings": 8192, "vocab_size": 256000,
}  # fmt: skip
GEMMA_3N_E4B = {
    "architectures": ["Gemma3nForConditionalGeneration"], "model_type": "gemma3n",
    "text_config": {
        "model_type": "gemma3n_text", "head_dim": 256, "hidden_size": 2048, "num_hidden_layers": 35,
        "num_attention_heads": 8, "num_key_value_heads": 2, "num_kv_shared_layers": 15, "sliding_window": 512,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7, "max_position_embeddings": 32768,
        "vocab_size": 262400,
    },
    "vision_config": {"hidden_size": 2048}, "audio_config": {"hidden_size": 1536},
}  # fmt: skip
DEEPSEEK_V3 = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
    "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"}, "hidden_size": 7168,
    "intermediate_size": 18432, "moe_intermediate_size": 2048, "kv_lora_rank": 512, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "num_hidden_layers": 61,
    "num_attention_heads": 128, "num_key_value_heads": 128, "n_routed_experts": 256, "num_experts_per_tok": 8,
    "max_position_embeddings": 163840, "vocab_size": 129280, "torch_dtype": "bfloat16",
    "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096},
    "quantization_config": {
        "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128],
    },
}  # fmt: skip
QWEN_3_NEXT = {
    "architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next", "full_attention_interval": 4,
    "head_dim": 256, "hidden_size": 2048, "intermediate_size": 5120,
    "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
    "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_value_head_dim": 128, "num_hidden_layers": 48,
    "num_attention_heads": 16, "num_key_value_heads": 2, "num_experts": 512, "num_experts_per_tok": 10,
    "max_position_embeddings": 262144, "vocab_size": 151936, "torch_dtype": "bfloat16",
}  # fmt: skip
QWEN_35 = {
    "architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5",
    "text_config": {
        "model_type": "qwen3_5_text", "head_dim": 256, "hidden_size": 1024, "num_hidden_layers": 24,
        "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 6, "linear_conv_kernel_dim": 4,
        "linear_key_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 16,
        "linear_value_head_dim": 128, "num_attention_heads": 8, "num_key_value_heads": 2,
        "max_position_embeddings": 262144, "vocab_size": 248320, "dtype": "bfloat16",
    },
    "vision_config": {"hidden_size": 768},
}  # fmt: skip
MIXTRAL_8X7B = {
    "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 8,
    "num_experts_per_tok": 2, "max_position_embeddings": 32768, "sliding_window": None, "vocab_size": 32000,
}  # fmt: skip
MISTRAL_7B_V01 = {
    "architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 32768, "sliding_window": 4096,
    "vocab_size": 32000,
}  # fmt: skip
GPT_OSS_20B = {
    "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "head_dim": 64, "hidden_size": 2880,
    "intermediate_size": 2880, "layer_types": ["sliding_attention", "full_attention"] * 12, "num_hidden_layers": 24,
    "num_attention_heads": 64, "num_key_value_heads": 8, "num_local_experts": 32, "num_experts_per_tok": 4,
    "experts_per_token": 4, "sliding_window": 128, "max_position_embeddings": 131072, "vocab_size": 201088,
    "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096, "truncate": False},
    "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
}  # fmt: skip
PHI_3_MINI_4K = {
    "architectures": ["Phi3ForCausalLM"], "model_type": "phi3",
    "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"},
    "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 32, "max_position_embeddings": 4096, "original_max_position_embeddings": 4096,
    "rope_scaling": None, "sliding_window": 2047, "vocab_size": 32064, "torch_dtype": "bfloat16",
}  # fmt: skip
PHI_3_MINI_128K = {
    **PHI_3_MINI_4K, "max_position_embeddings": 131072, "sliding_window": 262144,
    "rope_scaling": {"type": "longrope", "long_factor": [1.0], "short_factor": [1.0]},
}  # fmt: skip
LLAMA_4_SCOUT = {
    "architectures": ["Llama4ForConditionalGeneration"], "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text", "attention_chunk_size": 8192, "head_dim": 128, "hidden_size": 5120,
        "no_rope_layers": [1, 1, 1, 0] * 12, "num_hidden_layers": 48, "num_attention_heads": 40,
        "num_key_value_heads": 8, "num_local_experts": 16, "num_experts_per_tok": 1,
        "max_position_embeddings": 10485760, "vocab_size": 202048, "torch_dtype": "bfloat16",
        "rope_scaling": {"factor": 16.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    },
    "vision_config": {"hidden_size": 1408},
}  # fmt: skip
QWEN_2_VL = {
    "architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl", "hidden_size": 1536,
    "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
    "max_position_embeddings": 32768, "max_window_layers": 28, "sliding_window": 32768, "use_sliding_window": False,
    "vocab_size": 151936, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 1536},
}  # fmt: skip
JAMBA_MINI = {
    "architectures": ["JambaForCausalLM"], "model_type": "jamba", "attn_layer_offset": 4, "attn_layer_period": 8,
    "hidden_size": 4096, "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_expand": 2, "mamba_dt_rank": 256,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "num_experts": 16,
    "num_experts_per_tok": 2, "max_position_embeddings": 262144, "vocab_size": 65536,
}  # fmt: skip
GRANITE_4_H = {
    "architectures": ["GraniteMoeHybridForCausalLM"], "model_type": "granitemoehybrid", "hidden_size": 1536,
    "layer_types": (["mamba"] * 5 + ["attention"] + ["mamba"] * 4) * 4, "mamba_d_conv": 4, "mamba_d_head": 64,
    "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 48, "num_hidden_layers": 40,
    "num_attention_heads": 12, "num_key_value_heads": 4, "num_local_experts": 64, "num_experts_per_tok": 6,
    "max_position_embeddings": 131072, "vocab_size": 100352, "time_step_limit": [0.0, float("inf")],
}  # fmt: skip
NEMOTRON_H = {
    "architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "hidden_size": 4480, "head_dim": 128,
    "hybrid_override_pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-", "num_hidden_layers": 56,
    "mamba_num_heads": 128, "mamba_head_dim": 80, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4,
    "num_attention_heads": 40, "num_key_value_heads": 8, "max_position_embeddings": 131072, "vocab_size": 131072,
}  # fmt: skip
MAMBA_130M = {
    "architectures": ["MambaForCausalLM"], "model_type": "mamba", "hidden_size": 768, "expand": 2, "conv_kernel": 4,
    "state_size": 16, "num_hidden_layers": 24, "vocab_size": 50280,
}  # fmt: skip
FALCON_H1 = {
    "architectures": ["FalconH1ForCausalLM"], "model_type": "falcon_h1", "hidden_size": 1024, "head_dim": 64,
    "mamba_d_conv": 4, "mamba_d_head": 64, "mamba_d_ssm": 1536, "mamba_d_state": 128, "mamba_n_groups": 1,
    "mamba_n_heads": 24, "num_hidden_layers": 36, "num_attention_heads": 8, "num_key_value_heads": 2,
    "max_position_embeddings": 16384, "vocab_size": 32784,
}  # fmt: skip
LFM_2 = {
    "architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "hidden_size": 1024, "conv_L_cache": 3,
    "full_attn_idxs": [2, 5, 8, 10, 12, 14], "num_hidden_layers": 16, "num_attention_heads": 16,
    "num_key_value_heads": 8, "max_position_embeddings": 128000, "vocab_size": 65536,
}  # fmt: skip
KIMI_LINEAR = {
    "architectures": ["KimiLinearForCausalLM"], "model_type": "kimi_linear", "hidden_size": 2304, "kv_lora_rank": 512,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "num_hidden_layers": 27,
    "num_attention_heads": 32, "num_key_value_heads": 32, "num_experts": 256, "num_experts_per_token": 8,
    "linear_attn_config": {
        "full_attn_layers": [4, 8, 12, 16, 20, 24, 27], "head_dim": 128, "num_heads": 32, "short_conv_kernel_size": 4,
        "kda_layers": [1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23, 25, 26],
    },
    "model_max_length": 1048576, "vocab_size": 163840,
}  # fmt: skip
CHATGLM_3 = {
    "architectures": ["ChatGLMModel"], "model_type": "chatglm", "hidden_size": 4096, "kv_channels": 128,
    "multi_query_attention": True, "multi_query_group_num": 2, "num_layers": 28, "num_attention_heads": 32,
    "seq_length": 32768, "padded_vocab_size": 65024, "ffn_hidden_size": 13696,
}  # fmt: skip
DBRX = {
    "architectures": ["DbrxForCausalLM"], "model_type": "dbrx", "d_model": 6144, "n_heads": 48, "n_layers": 40,
    "attn_config": {"kv_n_heads": 8}, "ffn_config": {"moe_num_experts": 16, "moe_top_k": 4}, "max_seq_len": 32768,
    "vocab_size": 100352,
}  # fmt: skip
NEMOTRON_NAS = {
    "architectures": ["DeciLMForCausalLM"], "model_type": "nemotron-nas", "hidden_size": 8192, "num_hidden_layers": 4,
    "num_attention_heads": 64, "max_position_embeddings": 131072, "vocab_size": 128256,
    "block_configs": [
        {"attention": {"n_heads_in_group": 8, "no_op": False}},
        {"attention": {"n_heads_in_group": None, "no_op": True}},
        {"attention": {"n_heads_in_group": 8, "no_op": False}}, {"attention": {"n_heads_in_group": 16, "no_op": False}},
    ],
}  # fmt: skip
MINILM = {
    "architectures": ["BertModel"], "model_type": "bert", "hidden_size": 384, "intermediate_size": 1536,
    "num_hidden_layers": 6, "num_attention_heads": 12, "max_position_embeddings": 512, "vocab_size": 30522,
}  # fmt: skip
BGE_RERANKER = {
    "architectures": ["XLMRobertaForSequenceClassification"], "model_type": "xlm-roberta", "hidden_size": 1024,
    "id2label": {"0": "LABEL_0"}, "num_hidden_layers": 24, "num_attention_heads": 16, "max_position_embeddings": 8194,
    "pad_token_id": 1, "vocab_size": 250002,
}  # fmt: skip
WHISPER = {
    "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "d_model": 1280,
    "decoder_layers": 32,
    "decoder_attention_heads": 20, "encoder_layers": 32, "max_target_positions": 448, "vocab_size": 51866,
}  # fmt: skip
QWEN_2_AUDIO = {
    "architectures": ["Qwen2AudioForConditionalGeneration"], "model_type": "qwen2_audio",
    "audio_config": {"d_model": 1280},
    "text_config": {
        "model_type": "qwen2", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "max_position_embeddings": 8192, "use_sliding_window": False, "vocab_size": 156032,
    },
}  # fmt: skip
QWEN_25_OMNI = {
    "architectures": ["Qwen2_5OmniModel"], "model_type": "qwen2_5_omni",
    "thinker_config": {
        "audio_config": {"d_model": 1280}, "vision_config": {"depth": 32},
        "text_config": {
            "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
            "max_position_embeddings": 32768, "use_sliding_window": False, "vocab_size": 152064,
        },
    },
}  # fmt: skip
MINIMAX_01 = {
    "architectures": ["MiniMaxText01ForCausalLM"], "model_type": "minimax_text_01", "head_dim": 128,
    "hidden_size": 6144,
    "attn_type_list": [0, 0, 0, 0, 0, 0, 0, 1] * 10, "num_hidden_layers": 80, "num_attention_heads": 64,
    "num_key_value_heads": 8, "num_local_experts": 32, "num_experts_per_tok": 2, "max_position_embeddings": 10240000,
    "vocab_size": 200064,
}  # fmt: skip
GEMMA_4_31B = {
    "architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4",
    "text_config": {
        "model_type": "gemma4_text", "head_dim": 256, "global_head_dim": 512, "hidden_size": 5376,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 10, "num_hidden_layers": 60,
        "num_attention_heads": 32, "num_key_value_heads": 16, "num_global_key_value_heads": 4,
        "num_kv_shared_layers": 0, "sliding_window": 1024, "max_position_embeddings": 262144, "vocab_size": 262144,
    },
    "vision_config": {"hidden_size": 1152},
}  # fmt: skip
OPENELM = {
    "architectures": ["OpenELMForCausalLM"], "model_type": "openelm", "head_dim": 64, "model_dim": 1280,
    "max_context_length": 2048, "num_kv_heads": [3, 3, 4, 5], "num_query_heads": [12, 12, 16, 20],
    "num_transformer_layers": 4, "vocab_size": 32000,
}  # fmt: skip
RECURRENT_GEMMA_2B = {
    "architectures": ["RecurrentGemmaForCausalLM"], "model_type": "recurrent_gemma", "attention_window_size": 2048,
    "block_types": ["recurrent", "recurrent", "attention"], "conv1d_width": 4, "head_dim": 256, "hidden_size": 2560,
    "lru_width": 2560, "num_hidden_layers": 26, "num_attention_heads": 10, "num_key_value_heads": 1,
    "vocab_size": 256000,
}  # fmt: skip
