# The proxy, the inspector and MCP, with Chromium to draw pages. docker build -t optical-memory .
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      python3-venv chromium-headless-shell libatomic1 libfribidi0 \
      fonts-dejavu-core fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji \
 && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml README.md LICENSE /source/
COPY optical_memory /source/optical_memory
RUN python3 -m venv /opt/optical-memory \
 && /opt/optical-memory/bin/pip install --no-cache-dir '/source[chromium,encryption,mcp,redaction,redis,server,tokens]' \
 && rm -rf /source
RUN useradd --create-home memory && install --directory --owner memory /data
ENV PATH=/opt/optical-memory/bin:$PATH OPTICAL_MEMORY_STORE=sqlite:////data/memory.sqlite3
USER memory
VOLUME /data
ENTRYPOINT ["optical-memory"]
CMD ["serve"]
