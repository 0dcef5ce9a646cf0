# One file, four images: `--target console` and `--target backend-remote` (small, no torch), `--target backend`
# (models in the process), `--target training`.
FROM python:3.11.14-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --create-home --uid 10001 replybench
WORKDIR /app
COPY deploy/entrypoint.sh /usr/local/bin/entrypoint
ENTRYPOINT ["entrypoint"]

FROM base AS console
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY replybench replybench
COPY console console
RUN pip install --constraint constraints.txt --editable ".[console]"
USER 10001
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=2)"]
CMD ["replybench", "console", "--host", "0.0.0.0", "--port", "8501"]

# For engines that run elsewhere (vLLM, OpenAI), and for the operator's commands: no torch.
FROM base AS backend-remote
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY replybench replybench
COPY db db
COPY backend backend
COPY lineups lineups
COPY demo/example-tickets.jsonl demo/example-tickets.jsonl
RUN pip install --constraint constraints.txt --editable ".[backend]"
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["replybench", "serve", "--host", "0.0.0.0", "--port", "8000", "--no-migrate"]

FROM base AS models
COPY constraints.txt pyproject.toml README.md LICENSE ./
# PyTorch first and by its exact pin. Set PIP_EXTRA_INDEX_URL to PyTorch's CPU index for a build without CUDA.
ARG PIP_EXTRA_INDEX_URL=""
RUN pip install --constraint constraints.txt torch==2.13.0 \
    && install --directory --owner=10001 /models
COPY replybench replybench
COPY db db
COPY backend backend
COPY lineups lineups
COPY demo demo

FROM models AS backend
RUN pip install --constraint constraints.txt --editable ".[backend,models]"
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=300s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["replybench", "serve", "--host", "0.0.0.0", "--port", "8000", "--no-migrate"]

FROM models AS training
COPY training training
RUN pip install --constraint constraints.txt --editable ".[training]"
USER 10001
CMD ["replybench", "--help"]
