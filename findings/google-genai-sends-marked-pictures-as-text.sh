#!/bin/sh
# One would guess that a cache marker or an id on a block leaves what the block is alone: LangChain's blocks may carry both.
# In a tool message, langchain-google-genai takes an `image_url` block for a picture only if it has no other key. With one, the whole block goes
# to Gemini as JSON in the tool's answer, base64 and all, billed as text. Blocks of type `image` are not affected.
#
# Seen with langchain-google-genai 4.4.3, langchain-core 1.8.3, Python 3.11:
#   plain: picture, id: text, cache_control: text
# Why it matters here: a screenshot that is counted as 258 tokens is sent as several hundred thousand; such blocks are sent without the mark.
# Exits non-zero once this has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langchain-google-genai==4.4.3 langchain-core==1.8.3
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_google_genai import ChatGoogleGenerativeAI

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/q842iQAAAABJRU5ErkJggg=="
seen = []


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_POST(self):
        seen.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        answer = json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
model = ChatGoogleGenerativeAI(model="gemini-2.5-flash", google_api_key="none", base_url=url)
block = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
call = AIMessage("", tool_calls=[{"id": "c", "name": "shot", "args": {}}])
found = {}
for name, mark in {"plain": {}, "id": {"id": "lc_1"}, "cache_control": {"cache_control": {"type": "ephemeral"}}}.items():
    model.invoke([HumanMessage("look"), call, ToolMessage([{**block, **mark}], tool_call_id="c")])
    found[name] = "picture" if "inlineData" in seen[-1] else "text" if "data:image/png;base64" in seen[-1] else "neither"
print(", ".join(f"{name}: {how}" for name, how in found.items()))
assert list(found.values()) == ["picture", "text", "text"], found
PYTHON
