"""Which fields of an OpenAI request each engine kind is sent. Whatever is not listed here is left out.

Left out on purpose: user (personal data), chat_template(_kwargs), vllm_xargs, kv_transfer_params, request_id
and other fields by which a client could steer the server instead of its own answer.
"""

STREAMING = frozenset({"stream", "stream_options"})
SAMPLING = frozenset({"max_tokens", "temperature", "top_p", "top_k", "stop", "ignore_eos"}) | STREAMING
SHAPING = frozenset({"logprobs", "response_format", "n", "seed", "presence_penalty", "frequency_penalty", "logit_bias"})
TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})

CHAT = SAMPLING | SHAPING | TOOLS | {"messages", "max_completion_tokens", "top_logprobs"}
COMPLETION = SAMPLING | SHAPING | {"prompt", "echo", "best_of"}

# min_p and what follows it are refused by our server in words, which is better than ignoring them here
CUSTOM_CHAT = CHAT | {"reasoning_effort", "min_p", "min_tokens", "stop_token_ids"}
CUSTOM_COMPLETION = COMPLETION | {"min_p", "min_tokens", "stop_token_ids", "suffix"}

VLLM_EXTRA = frozenset(
    {
        "structured_outputs",
        "priority",
        "cache_salt",
        "min_p",
        "repetition_penalty",
        "min_tokens",
        "stop_token_ids",
        "skip_special_tokens",
    }
)
VLLM_CHAT = CHAT | VLLM_EXTRA | {"reasoning_effort", "include_reasoning"}
VLLM_COMPLETION = COMPLETION | VLLM_EXTRA

TRTLLM_EXTRA = frozenset({"min_p", "repetition_penalty", "min_tokens", "stop_token_ids", "skip_special_tokens"})
TRTLLM_CHAT = CHAT | TRTLLM_EXTRA | {"reasoning_effort"}
TRTLLM_COMPLETION = COMPLETION | TRTLLM_EXTRA
