"""A chat in the terminal on LlamaIndex's `Memory`, with its past on pages. Any server that speaks OpenAI's chat completions.

`OPENAI_BASE_URL` and `OPENAI_API_KEY` say where; `python examples/llama_index_memory.py MODEL`. With one of LlamaIndex's own chat models,
hand `memory` to a `SimpleChatEngine` or an agent instead: `agent.run(line, memory=memory)`.
"""

import sys

from llama_index.core.llms import ChatMessage
from llama_index.core.memory import Memory
from openai import OpenAI

from optical_memory import OpticalMemory
from optical_memory.adapters.llama_index import OpticalMemoryBlock


def wire(message: ChatMessage) -> dict:
    content = [
        {"type": "text", "text": block.text}
        if block.block_type == "text"
        else {"type": "image_url", "image_url": {"url": block.inline_url(), "detail": block.detail}}
        for block in message.blocks
    ]
    return {"role": message.role.value, "content": content}


def main(model: str) -> None:
    client, past = OpenAI(), OpticalMemory("llama-index", reader="gpt-4o")
    memory = Memory.from_defaults("llama-index", token_limit=4_000, memory_blocks=[OpticalMemoryBlock(memory=past, budget=20_000)])
    for line in map(str.strip, sys.stdin):
        memory.put(ChatMessage(line))
        answer = client.chat.completions.create(model=model, messages=[wire(message) for message in memory.get()])
        memory.put(ChatMessage(answer.choices[0].message.content, role="assistant"))
        print(answer.choices[0].message.content, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
