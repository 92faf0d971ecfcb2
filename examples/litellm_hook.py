"""A chat in the terminal through LiteLLM, with any provider. Its past goes as pages.

The provider's key is in the environment, as LiteLLM wants it; `python examples/litellm_hook.py MODEL`.
For LiteLLM's proxy, put this file beside `config.yaml` and write there: `litellm_settings: {callbacks: litellm_hook.hook}`.
"""

import asyncio
import sys

import litellm

from optical_memory.adapters.litellm import OpticalMemoryHook

hook = OpticalMemoryHook(budget=8_000)


async def main(model: str) -> None:
    litellm.callbacks = [hook]
    messages: list[dict[str, str]] = []
    for line in map(str.strip, sys.stdin):
        messages.append({"role": "user", "content": line})
        answer = await litellm.acompletion(model=model, messages=messages)
        messages.append({"role": "assistant", "content": answer.choices[0].message.content})
        print(messages[-1]["content"], flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
